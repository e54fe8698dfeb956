/* The floor of scripts/bench console: the least that a bridge between serial lines and TCP can do. One thread, epoll, no protocol, no log;
 * a client that takes nothing for a long while is dropped. usage: relay BASE TTY...   line i listens on 127.0.0.1:BASE+i */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#define CLIENTS 64
#define SPINS 200000

enum kind { TTY, LISTENER, CLIENT };
struct line { int tty, listener, count, clients[CLIENTS]; };
static struct line *lines;
static int poller;

static void die(const char *what) { perror(what); exit(1); }

static void add(int fd, enum kind kind, uint64_t line) {
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = (uint64_t)kind << 56 | line << 32 | (uint32_t)fd };
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

static void drop(struct line *line, int fd) {
    for (int i = 0; i < line->count; i++)
        if (line->clients[i] == fd) { line->clients[i] = line->clients[--line->count]; break; }
    close(fd);
}

static void open_line(struct line *line, const char *path, int port) {
    struct termios settings;
    line->tty = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (line->tty < 0 || tcgetattr(line->tty, &settings)) die(path);
    cfmakeraw(&settings);
    if (tcsetattr(line->tty, TCSANOW, &settings)) die(path);
    int one = 1;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    line->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(line->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(line->listener, (struct sockaddr *)&address, sizeof address) || listen(line->listener, CLIENTS)) die("listen");
}

static void accept_client(struct line *line, int listener) {
    int one = 1, fd = accept4(listener, 0, 0, SOCK_NONBLOCK);
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (line->count == CLIENTS) { close(fd); return; }
    line->clients[line->count++] = fd;
    add(fd, CLIENT, line - lines);
}

static void from_tty(struct line *line) {
    static char buffer[65536];
    ssize_t have = read(line->tty, buffer, sizeof buffer);
    for (int i = line->count - 1; have > 0 && i >= 0; i--) {
        ssize_t done = 0;
        for (int spins = 0; done < have;) {
            ssize_t sent = send(line->clients[i], buffer + done, have - done, MSG_NOSIGNAL);
            if (sent > 0) { done += sent; spins = 0; }
            else if (errno != EAGAIN || ++spins > SPINS) { drop(line, line->clients[i]); break; }
        }
    }
}

static void from_client(struct line *line, int fd) {
    char buffer[4096];
    ssize_t have = recv(fd, buffer, sizeof buffer, 0);
    if (have == 0 || (have < 0 && errno != EAGAIN)) { drop(line, fd); return; }
    for (ssize_t done = 0; done < have;) {
        ssize_t sent = write(line->tty, buffer + done, have - done);
        if (sent > 0) done += sent;
        else if (errno != EAGAIN) break;
    }
}

int main(int argc, char **argv) {
    if (argc < 3) { fprintf(stderr, "usage: relay BASE TTY...\n"); return 2; }
    int base = atoi(argv[1]), count = argc - 2;
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(0);
    lines = calloc(count, sizeof *lines);
    for (int i = 0; i < count; i++) {
        open_line(&lines[i], argv[2 + i], base + i);
        add(lines[i].tty, TTY, i);
        add(lines[i].listener, LISTENER, i);
    }
    for (;;) {
        struct epoll_event events[64];
        int ready = epoll_wait(poller, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            uint64_t tag = events[i].data.u64;
            struct line *line = &lines[tag >> 32 & 0xffffff];
            int fd = (int)(uint32_t)tag;
            switch ((enum kind)(tag >> 56)) {
                case LISTENER: accept_client(line, fd); break;
                case TTY: from_tty(line); break;
                case CLIENT: from_client(line, fd); break;
            }
        }
    }
}
