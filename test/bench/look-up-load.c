/*
 * look-up-load PORTS COUNT AT_ONCE [NODES [HOST]]: looks up the node `bench` at the EPMD on 127.0.0.1:PORT, COUNT times, one connection each
 * as stock clients do, AT_ONCE at a time. Prints the milliseconds that it took.
 *
 * With NODES it looks up n0@bench.test to n<NODES-1>@bench.test in turn, as the module does. HOST replaces `@bench.test`; with an empty one
 * these are alive names, as stock VMs send them. Of several PORTS, with commas between them, each EPMD is asked for a node before one is
 * asked for the next node.
 *
 * It polls without sleeping: to wake a client that sleeps costs the server up to 10 us for each answer, and a client sleeps more the slower
 * its server is, so the slower server would pay twice.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT_PLEASE2_REQ = 122, LONGEST_NAME = 60 };
/* PORT2_RESP, the result 0, and at least a port. */
enum { TAG = 119, SHORTEST = 4, MOST = 1024 };
/* Milliseconds without any answer. */
static const double PATIENCE = 10e3;

struct connection {
  int fd;
  int bytes;
  /* Tag and result of the answer. */
  unsigned char head[2];
  /* Of the look-up, from 0. */
  int number;
};

static struct {
  struct sockaddr_in *servers;
  int servers_count;
  /* 0: `bench` alone. */
  int nodes;
  const char *host;
} load = {.host = "@bench.test"};

/* Numbers of look-ups, in a ring. */
static struct {
  int *numbers;
  int size, first, length;
} waiting;

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static void wait_for_turn(int number) {
  waiting.numbers[(waiting.first + waiting.length++) % waiting.size] = number;
}

/* Begins the look-up that has waited longest. */
static void begin(struct connection *one, int events) {
  int on = 1;
  one->number = waiting.numbers[waiting.first];
  waiting.first = (waiting.first + 1) % waiting.size;
  waiting.length--;
  const struct sockaddr_in *server = &load.servers[one->number % load.servers_count];
  one->bytes = 0;
  one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (one->fd < 0) fail("socket");
  setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(one->fd, (const struct sockaddr *)server, sizeof *server) != 0 && errno != EINPROGRESS) fail("connect");
  struct epoll_event event = {.events = EPOLLOUT, .data.ptr = one};
  if (epoll_ctl(events, EPOLL_CTL_ADD, one->fd, &event) != 0) fail("epoll_ctl");
}

static void ask(struct connection *one, int events) {
  unsigned char request[3 + LONGEST_NAME];
  char *name = (char *)request + 3;
  int length = load.nodes == 0 ? snprintf(name, LONGEST_NAME, "bench") : snprintf(name, LONGEST_NAME, "n%d%s", one->number / load.servers_count % load.nodes, load.host);
  if (length >= LONGEST_NAME) fail("a long name");
  request[0] = 0;
  request[1] = length + 1;
  request[2] = PORT_PLEASE2_REQ;
  if (write(one->fd, request, 3 + length) != 3 + length) fail("write");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = one};
  if (epoll_ctl(events, EPOLL_CTL_MOD, one->fd, &event) != 0) fail("epoll_ctl");
}

static void read_ports(char *ports) {
  load.servers = calloc(strlen(ports), sizeof *load.servers);
  for (char *port = strtok(ports, ","); port != NULL; port = strtok(NULL, ",")) {
    struct sockaddr_in *server = &load.servers[load.servers_count++];
    server->sin_family = AF_INET;
    server->sin_port = htons(atoi(port));
    server->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
}

static double milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

enum taken { MORE_TO_COME, FOUND, NOT_FOUND };

/* An answer is whole when the server has closed the connection. */
static enum taken take(struct connection *one) {
  unsigned char buffer[MOST];
  for (;;) {
    ssize_t length = read(one->fd, buffer, sizeof buffer);
    if (length < 0 && errno == EAGAIN) return MORE_TO_COME;
    if (length < 0) fail("read");
    if (length == 0) break;
    for (ssize_t index = 0; index < length && one->bytes + index < 2; index++) one->head[one->bytes + index] = buffer[index];
    one->bytes += length;
  }
  close(one->fd);
  if (one->bytes >= 2 && one->head[0] == TAG && one->head[1] != 0) return NOT_FOUND;
  if (one->bytes >= SHORTEST && one->head[0] == TAG) return FOUND;
  fprintf(stderr, "%d bytes in place of an answer\n", one->bytes);
  exit(1);
}

int main(int count_of_arguments, char **arguments) {
  if (count_of_arguments < 4 || count_of_arguments > 6) {
    fprintf(stderr, "usage: look-up-load PORTS COUNT AT_ONCE [NODES [HOST]]\n");
    return 2;
  }
  const int count = atoi(arguments[2]), at_once = atoi(arguments[3]);
  if (count_of_arguments > 4) load.nodes = atoi(arguments[4]);
  if (count_of_arguments > 5) load.host = arguments[5];
  read_ports(arguments[1]);
  struct connection *all = calloc(at_once, sizeof *all);
  struct epoll_event *ready = calloc(at_once, sizeof *ready);
  int events = epoll_create1(0), under_way = 0, done = 0, misses = 0;
  const double from = milliseconds();
  double heard = from;
  waiting.size = count;
  waiting.numbers = calloc(count, sizeof *waiting.numbers);
  for (int number = 0; number < count; number++) wait_for_turn(number);
  for (; under_way < at_once && waiting.length > 0; under_way++) begin(&all[under_way], events);
  while (done < count) {
    int found = epoll_wait(events, ready, at_once, 0);
    if (found < 0 && errno != EINTR) fail("epoll_wait");
    if (found > 0) heard = milliseconds();
    else if (milliseconds() - heard > PATIENCE) {
      fprintf(stderr, "no answer within 10 s\n");
      return 1;
    } else sched_yield();
    for (int index = 0; index < found; index++) {
      struct connection *one = ready[index].data.ptr;
      if (ready[index].events & EPOLLOUT) {
        ask(one, events);
        continue;
      }
      enum taken taken = take(one);
      if (taken == MORE_TO_COME) continue;
      if (taken == FOUND) done++;
      else {
        misses++;
        wait_for_turn(one->number);
        usleep(1000);
      }
      if (waiting.length > 0) begin(one, events);
    }
  }
  printf("%.3f %d\n", milliseconds() - from, misses);
  return 0;
}
