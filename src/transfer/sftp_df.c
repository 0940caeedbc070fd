// sftp's df.
#include "transfer/say.h"
#include "transfer/sftp.h"

// "1.5K": three characters and a unit at most.
static void human(char out[16], double n) {
    static const char units[] = "BKMGTPE";
    size_t i = 0;
    while (n >= 1000 && units[i + 1] != '\0') {
        n /= 1024;
        i++;
    }
    snprintf(out, 16, n < 10 && i > 0 ? "%.1f%c" : "%.0f%c", n, units[i]);
}

static void amount(char out[32], uint64_t units, uint64_t size, bool readable) {
    char text[16];
    if (!readable) {
        snprintf(out, 32, "%llu", (unsigned long long)(units * size / 1024));
        return;
    }
    human(text, (double)units * (double)size);
    snprintf(out, 32, "%s", text);
}

static unsigned percent(uint64_t used, uint64_t all) {
    return all > 0 ? (unsigned)(100.0 * (double)used / (double)all) : 100;
}

static void show_inodes(const struct sftp_filesystem *f) {
    uint64_t used = f->files - f->files_free;
    printf("     Inodes        Used       Avail      (root)    %%Capacity\n");
    printf("%11llu %11llu %11llu %11llu         %3u%%\n", (unsigned long long)f->files,
           (unsigned long long)used, (unsigned long long)f->files_available,
           (unsigned long long)f->files_free, percent(used, f->files));
}

static void show_blocks(const struct sftp_filesystem *f, bool readable) {
    char all[32], used[32], free_all[32], free_root[32];
    uint64_t taken = f->blocks - f->blocks_free;
    amount(all, f->blocks, f->fragment_size, readable);
    amount(used, taken, f->fragment_size, readable);
    amount(free_all, f->blocks_available, f->fragment_size, readable);
    amount(free_root, f->blocks_free, f->fragment_size, readable);
    if (readable)
        printf("    Size     Used    Avail   (root)    %%Capacity\n"
               "%7s  %7s  %7s  %7s         %3u%%\n",
               all, used, free_all, free_root, percent(taken, f->blocks));
    else
        printf("        Size         Used        Avail       (root)    %%Capacity\n"
               "%12s %12s %12s %12s         %3u%%\n",
               all, used, free_all, free_root, percent(taken, f->blocks));
}

bool sftp_df(const struct sftp_call *c) {
    char path[NAME_PATH];
    struct sftp_filesystem f = {0};
    if (!sftp_absolute(c->s, c->n > 0 ? c->args[0] : ".", false, path))
        return false;
    uint32_t status = remote_filesystem(&c->s->remote, path, &f);
    if (status == SFTP_OP_UNSUPPORTED)
        say("df: the server does not support statvfs@openssh.com");
    else if (status != SFTP_OK && !c->s->remote.lost)
        say_status("statvfs", path, status);
    if (status != SFTP_OK)
        return false;
    if (sftp_flag(c, 'i'))
        show_inodes(&f);
    else
        show_blocks(&f, sftp_flag(c, 'h'));
    return true;
}
