#include "io/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "io/fault_errno.h"
#include "io/fd.h"

enum err pty_open(struct pty *p, struct fault *f) {
    *p = (struct pty){.master = -1, .slave = -1};
    p->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (p->master < 0)
        return fault_errno(f, "open /dev/ptmx");
    int unlock = 0;
    unsigned number = 0;
    if (ioctl(p->master, TIOCSPTLCK, &unlock) != 0 ||
        ioctl(p->master, TIOCGPTN, &number) != 0) {
        enum err e = fault_errno(f, "allocate a pty");
        pty_close(p);
        return e;
    }
    snprintf(p->name, sizeof p->name, "/dev/pts/%u", number);
    p->slave = ioctl(p->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (p->slave < 0)
        p->slave = open(p->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (p->slave < 0) {
        enum err e = fault_errno(f, "open %s", p->name);
        pty_close(p);
        return e;
    }
    return OK;
}

void pty_close(struct pty *p) {
    fd_close(&p->master);
    fd_close(&p->slave);
}

static unsigned short clip(uint32_t v) {
    return (unsigned short)(v > UINT16_MAX ? UINT16_MAX : v);
}

enum err pty_set_size(int fd, struct pty_size size) {
    struct winsize w = {.ws_col = clip(size.columns),
                        .ws_row = clip(size.rows),
                        .ws_xpixel = clip(size.width_px),
                        .ws_ypixel = clip(size.height_px)};
    return ioctl(fd, TIOCSWINSZ, &w) == 0 ? OK : err_of_errno(errno);
}

enum err pty_get_size(int fd, struct pty_size *size) {
    struct winsize w;
    *size = (struct pty_size){0};
    if (ioctl(fd, TIOCGWINSZ, &w) != 0)
        return err_of_errno(errno);
    *size = (struct pty_size){w.ws_col, w.ws_row, w.ws_xpixel, w.ws_ypixel};
    return OK;
}

void pty_break(int fd, uint32_t ms) {
    // termios leaves the meaning of a duration to the system; 0 is the usual quarter
    // second.
    (void)ms;
    (void)tcsendbreak(fd, 0);
}

// The terminal's state before raw mode: a process has one terminal, a signal handler must
// find it.
static struct {
    struct termios before;
    volatile sig_atomic_t active;
    int fd;
    pid_t owner;  // a forked child must not restore
    bool at_exit;
} raw;

bool tty_is(int fd) {
    return isatty(fd) == 1;
}

bool tty_raw_active(void) {
    return raw.active != 0 && raw.owner == getpid();
}

// From the background a change of modes would stop us; with the signal blocked it goes
// through.
static int set_modes(int fd, const struct termios *t) {
    sigset_t block, before;
    sigemptyset(&block);
    sigaddset(&block, SIGTTOU);
    sigprocmask(SIG_BLOCK, &block, &before);
    int bad = tcsetattr(fd, TCSADRAIN, t);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return bad;
}

void tty_raw_leave(void) {
    if (!tty_raw_active())
        return;
    int kept = errno;
    (void)set_modes(raw.fd, &raw.before);
    raw.active = 0;
    errno = kept;
}

enum err tty_raw_enter(int fd) {
    struct termios t;
    if (tty_raw_active())
        return OK;
    if (tcgetattr(fd, &t) != 0)
        return err_of_errno(errno);
    raw.before = t;
    raw.fd = fd;
    raw.owner = getpid();
    t.c_iflag |= IGNPAR;
    t.c_iflag &=
        ~(tcflag_t)(ISTRIP | INLCR | IGNCR | ICRNL | IXON | IXANY | IXOFF | IUCLC);
    t.c_lflag &= ~(tcflag_t)(ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHONL | IEXTEN);
    t.c_oflag &= ~(tcflag_t)OPOST;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    raw.active = 1;  // first, so that a signal in between restores too
    if (set_modes(fd, &t) != 0) {
        enum err e = err_of_errno(errno);
        raw.active = 0;
        return e;
    }
    if (!raw.at_exit)
        raw.at_exit = atexit(tty_raw_leave) == 0;
    return OK;
}

static void restore_and_die(int number) {
    tty_raw_leave();
    // The action is the default again (SA_RESETHAND).
    raise(number);
}

void tty_raw_guard(void) {
    static const int deadly[] = {SIGTERM, SIGHUP,  SIGINT, SIGQUIT, SIGSEGV,
                                 SIGBUS,  SIGABRT, SIGILL, SIGFPE};
    struct sigaction now, guard = {.sa_handler = restore_and_die,
                                   .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
        if (sigaction(deadly[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            sigaction(deadly[i], &guard, NULL);
}
