/*
 * look-up-load PORT COUNT AT_ONCE [NODES]: looks up the node `bench` at the EPMD on 127.0.0.1:PORT, COUNT times, one connection each as
 * stock clients do, AT_ONCE at a time. With NODES it looks up n0@bench.test to n<NODES-1>@bench.test in turn, as the module does. Prints the milliseconds that it took. It polls without sleeping: to wake a client that sleeps costs the
 * server up to 10 us for each answer, and a client sleeps more the slower its server is, so the slower server would pay twice.
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
};

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static void begin(struct connection *one, int events, const struct sockaddr_in *server) {
  int on = 1;
  one->bytes = 0;
  one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (one->fd < 0) fail("socket");
  setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(one->fd, (const struct sockaddr *)server, sizeof *server) != 0 && errno != EINPROGRESS) fail("connect");
  struct epoll_event event = {.events = EPOLLOUT, .data.ptr = one};
  if (epoll_ctl(events, EPOLL_CTL_ADD, one->fd, &event) != 0) fail("epoll_ctl");
}

/* Looks up the next node. @param nodes 0: `bench` alone */
static void ask(struct connection *one, int events, int nodes) {
  static int asked = 0;
  unsigned char request[3 + LONGEST_NAME];
  char *name = (char *)request + 3;
  int length = nodes == 0 ? snprintf(name, LONGEST_NAME, "bench") : snprintf(name, LONGEST_NAME, "n%d@bench.test", asked++ % nodes);
  request[0] = 0;
  request[1] = length + 1;
  request[2] = PORT_PLEASE2_REQ;
  if (write(one->fd, request, 3 + length) != 3 + length) fail("write");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = one};
  if (epoll_ctl(events, EPOLL_CTL_MOD, one->fd, &event) != 0) fail("epoll_ctl");
}

static double milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

/* Returns whether the server has closed the connection: the answer is whole. */
static int take(struct connection *one) {
  unsigned char buffer[MOST];
  for (;;) {
    ssize_t length = read(one->fd, buffer, sizeof buffer);
    if (length < 0 && errno == EAGAIN) return 0;
    if (length < 0) fail("read");
    if (length == 0) {
      if (one->bytes < SHORTEST) {
        fprintf(stderr, "%d bytes in place of an answer\n", one->bytes);
        exit(1);
      }
      close(one->fd);
      return 1;
    }
    if (one->bytes == 0 && (buffer[0] != TAG || (length > 1 && buffer[1] != 0))) {
      fprintf(stderr, "the node is not known\n");
      exit(1);
    }
    one->bytes += length;
  }
}

int main(int count_of_arguments, char **arguments) {
  if (count_of_arguments != 4 && count_of_arguments != 5) {
    fprintf(stderr, "usage: look-up-load PORT COUNT AT_ONCE [NODES]\n");
    return 2;
  }
  const int count = atoi(arguments[2]), at_once = atoi(arguments[3]);
  const int nodes = count_of_arguments == 5 ? atoi(arguments[4]) : 0;
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  struct connection *all = calloc(at_once, sizeof *all);
  struct epoll_event *ready = calloc(at_once, sizeof *ready);
  int events = epoll_create1(0), started = 0, done = 0;
  const double from = milliseconds();
  double heard = from;
  for (; started < at_once && started < count; started++) begin(&all[started], events, &server);
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
        ask(one, events, nodes);
        continue;
      }
      if (!take(one)) continue;
      done++;
      if (started < count) {
        started++;
        begin(one, events, &server);
      }
    }
  }
  printf("%.3f\n", milliseconds() - from);
  return 0;
}
