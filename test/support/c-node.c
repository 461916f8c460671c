/*
 * A C node.
 *   c-node NAME COOKIE NODE              connects to NODE, calls erlang:node/0 there and prints the answer
 *   c-node NAME COOKIE --publish PORT    publishes itself with the EPMD, prints "published", accepts one connection and
 *                                        answers one message {Pid, Term} with {NAME, Term}
 * NAME is alive@host; ERL_EPMD_PORT is the port of the EPMD. Exit status 1 when any step fails, which it names.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ei.h"

static int failed(const char *step)
{
    fprintf(stderr, "%s failed: erl_errno %d (%s)\n", step, erl_errno, strerror(erl_errno));
    return 1;
}

static int call(ei_cnode *self, char *node)
{
    ei_x_buff arguments, answer;
    char name[MAXATOMLEN_UTF8];
    int index = 0;
    int connection = ei_connect(self, node);

    if (connection < 0) return failed("ei_connect");
    ei_x_new(&arguments);
    ei_x_encode_empty_list(&arguments);
    ei_x_new(&answer);
    if (ei_rpc(self, connection, "erlang", "node", arguments.buff, arguments.index, &answer) < 0) return failed("ei_rpc");
    if (ei_decode_atom(answer.buff, &index, name) < 0) return failed("ei_decode_atom");
    puts(name);
    return 0;
}

static int answer_message(int connection, const char *name)
{
    erlang_msg message;
    erlang_pid from;
    ei_x_buff received, answer;
    int version, arity, index = 0, kind;

    ei_x_new(&received);
    do {
        kind = ei_xreceive_msg(connection, &message, &received);
    } while (kind == ERL_TICK);
    if (kind != ERL_MSG) return failed("ei_xreceive_msg");
    if (ei_decode_version(received.buff, &index, &version) < 0 || ei_decode_tuple_header(received.buff, &index, &arity) < 0 ||
        arity != 2 || ei_decode_pid(received.buff, &index, &from) < 0) return failed("ei_decode_pid");
    ei_x_new_with_version(&answer);
    ei_x_encode_tuple_header(&answer, 2);
    ei_x_encode_atom(&answer, name);
    ei_x_append_buf(&answer, received.buff + index, received.index - index);
    if (ei_send(connection, &from, answer.buff, answer.index) < 0) return failed("ei_send");
    /* The peer reads the answer and leaves. */
    while (ei_xreceive_msg(connection, &message, &received) >= 0) continue;
    return 0;
}

static int serve(ei_cnode *self, int port, const char *name)
{
    ErlConnect peer;
    int connection, listening = ei_listen(self, &port, 1);

    if (listening < 0) return failed("ei_listen");
    /* The name is registered as long as this descriptor is open. */
    if (ei_publish(self, port) < 0) return failed("ei_publish");
    puts("published");
    fflush(stdout);
    if ((connection = ei_accept(self, listening, &peer)) < 0) return failed("ei_accept");
    printf("connected to %s\n", peer.nodename);
    return answer_message(connection, name);
}

int main(int argc, char **argv)
{
    ei_cnode self;
    struct in_addr address = { htonl(INADDR_LOOPBACK) };
    int publishes = argc == 5 && strcmp(argv[3], "--publish") == 0;
    char *name, *alive, *host;

    if (argc != 4 && !publishes) {
        fprintf(stderr, "usage: c-node NAME COOKIE NODE | c-node NAME COOKIE --publish PORT\n");
        return 2;
    }
    name = argv[1];
    alive = strdup(name);
    if ((host = strchr(alive, '@')) == NULL) return failed("alive@host");
    *host++ = '\0';
    if (ei_init() != 0) return failed("ei_init");
    if (ei_connect_xinit(&self, host, alive, name, &address, argv[2], 0) < 0) return failed("ei_connect_xinit");
    return publishes ? serve(&self, atoi(argv[4]), name) : call(&self, argv[3]);
}
