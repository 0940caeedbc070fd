// RFC 4254 s.8 and RFC 8160 (IUTF8): opcode, where it lives in termios, which bits.
#include "io/terminal_modes.h"

#include <termios.h>
#include <unistd.h>

enum field {
    CHARACTER,
    INPUT,
    LOCAL,
    OUTPUT,
    CONTROL,
    CHARACTER_SIZE
};

static const struct row {
    uint8_t opcode;
    uint8_t field;
    tcflag_t value;  // a bit, or the index of the character
} rows[] = {
    {1, CHARACTER, VINTR},     {2, CHARACTER, VQUIT},     {3, CHARACTER, VERASE},
    {4, CHARACTER, VKILL},     {5, CHARACTER, VEOF},      {6, CHARACTER, VEOL},
    {7, CHARACTER, VEOL2},     {8, CHARACTER, VSTART},    {9, CHARACTER, VSTOP},
    {10, CHARACTER, VSUSP},    {12, CHARACTER, VREPRINT}, {13, CHARACTER, VWERASE},
    {14, CHARACTER, VLNEXT},   {16, CHARACTER, VSWTC},    {18, CHARACTER, VDISCARD},
    {30, INPUT, IGNPAR},       {31, INPUT, PARMRK},       {32, INPUT, INPCK},
    {33, INPUT, ISTRIP},       {34, INPUT, INLCR},        {35, INPUT, IGNCR},
    {36, INPUT, ICRNL},        {37, INPUT, IUCLC},        {38, INPUT, IXON},
    {39, INPUT, IXANY},        {40, INPUT, IXOFF},        {41, INPUT, IMAXBEL},
    {42, INPUT, IUTF8},        {50, LOCAL, ISIG},         {51, LOCAL, ICANON},
    {52, LOCAL, XCASE},        {53, LOCAL, ECHO},         {54, LOCAL, ECHOE},
    {55, LOCAL, ECHOK},        {56, LOCAL, ECHONL},       {57, LOCAL, NOFLSH},
    {58, LOCAL, TOSTOP},       {59, LOCAL, IEXTEN},       {60, LOCAL, ECHOCTL},
    {61, LOCAL, ECHOKE},       {62, LOCAL, PENDIN},       {70, OUTPUT, OPOST},
    {71, OUTPUT, OLCUC},       {72, OUTPUT, ONLCR},       {73, OUTPUT, OCRNL},
    {74, OUTPUT, ONOCR},       {75, OUTPUT, ONLRET},      {90, CHARACTER_SIZE, CS7},
    {91, CHARACTER_SIZE, CS8}, {92, CONTROL, PARENB},     {93, CONTROL, PARODD},
};

#define OPCODE_ISPEED 128
#define OPCODE_OSPEED 129

static const struct {
    speed_t code;
    uint32_t bits;
} speeds[] = {
    {B0, 0},           {B50, 50},         {B75, 75},         {B110, 110},
    {B134, 134},       {B150, 150},       {B200, 200},       {B300, 300},
    {B600, 600},       {B1200, 1200},     {B1800, 1800},     {B2400, 2400},
    {B4800, 4800},     {B9600, 9600},     {B19200, 19200},   {B38400, 38400},
    {B57600, 57600},   {B115200, 115200}, {B230400, 230400}, {B460800, 460800},
    {B921600, 921600},
};

static uint32_t speed_bits(speed_t code) {
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++)
        if (speeds[i].code == code)
            return speeds[i].bits;
    return 9600;
}

// False if termios has no such speed.
static bool speed_code(uint32_t bits, speed_t *code) {
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++) {
        if (speeds[i].bits == bits) {
            *code = speeds[i].code;
            return true;
        }
    }
    return false;
}

static tcflag_t *flags_of(struct termios *t, uint8_t field) {
    switch (field) {
    case INPUT:
        return &t->c_iflag;
    case LOCAL:
        return &t->c_lflag;
    case OUTPUT:
        return &t->c_oflag;
    default:
        return &t->c_cflag;
    }
}

static uint32_t value_of(const struct row *row, struct termios *t) {
    if (row->field == CHARACTER) {
        // RFC 4254 s.8: 255 is "none"; termios has 0 for it.
        cc_t c = t->c_cc[row->value];
        return c == _POSIX_VDISABLE ? 255 : c;
    }
    if (row->field == CHARACTER_SIZE)
        return (t->c_cflag & CSIZE) == row->value;
    return (*flags_of(t, row->field) & row->value) != 0;
}

static void set_value(const struct row *row, struct termios *t, uint32_t value) {
    if (row->field == CHARACTER) {
        t->c_cc[row->value] = value == 255 ? _POSIX_VDISABLE : (cc_t)value;
    } else if (row->field == CHARACTER_SIZE) {
        if (value != 0)
            t->c_cflag = (t->c_cflag & ~(tcflag_t)CSIZE) | row->value;
    } else if (value != 0) {
        *flags_of(t, row->field) |= row->value;
    } else {
        *flags_of(t, row->field) &= ~row->value;
    }
}

enum err terminal_modes_get(int fd, struct terminal_mode *out, size_t room, size_t *n) {
    struct termios t;
    const size_t count = sizeof rows / sizeof rows[0];
    *n = 0;
    if (tcgetattr(fd, &t) != 0)
        return ERR_IO;
    if (room < count + 2)
        return ERR_LIMIT;
    for (size_t i = 0; i < count; i++)
        out[(*n)++] = (struct terminal_mode){rows[i].opcode, value_of(&rows[i], &t)};
    out[(*n)++] = (struct terminal_mode){OPCODE_ISPEED, speed_bits(cfgetispeed(&t))};
    out[(*n)++] = (struct terminal_mode){OPCODE_OSPEED, speed_bits(cfgetospeed(&t))};
    return OK;
}

static void set_one(struct termios *t, struct terminal_mode mode) {
    speed_t code;
    if (mode.opcode == OPCODE_ISPEED && speed_code(mode.value, &code))
        cfsetispeed(t, code);
    else if (mode.opcode == OPCODE_OSPEED && speed_code(mode.value, &code))
        cfsetospeed(t, code);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].opcode == mode.opcode)
            set_value(&rows[i], t, mode.value);
}

enum err terminal_modes_set(int fd, const struct terminal_mode *modes, size_t n) {
    struct termios t;
    if (tcgetattr(fd, &t) != 0)
        return ERR_IO;
    for (size_t i = 0; i < n; i++)
        set_one(&t, modes[i]);
    return tcsetattr(fd, TCSANOW, &t) == 0 ? OK : ERR_IO;
}
