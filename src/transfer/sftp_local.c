// sftp's commands on this machine.
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "transfer/interrupt.h"
#include "transfer/names.h"
#include "transfer/program.h"
#include "transfer/say.h"
#include "transfer/sftp.h"

static bool local_name(const struct sftp_call *c, char out[NAME_PATH]) {
    if (!text_copy(out, NAME_PATH, view_text(c->args[0])))
        return false;
    pattern_plain(out);
    return true;
}

bool sftp_local_folder(const struct sftp_call *c) {
    char name[NAME_PATH], path[NAME_PATH];
    const char *home = getenv("HOME");
    if (c->n == 0) {
        (void)path_join(path, "", home != NULL ? home : "/");
    } else {
        if (!local_name(c, name))
            return false;
        bool tilde = *name == '~' && (name[1] == '/' || name[1] == '\0') && home != NULL;
        (void)path_join(path, tilde ? home : "",
                        tilde ? name + 1 + (name[1] == '/') : name);
    }
    if (chdir(path) == 0)
        return true;
    say("Couldn't change local directory to \"%s\": %s", CLEAN(path), strerror(errno));
    return false;
}

bool sftp_local_make(const struct sftp_call *c) {
    char path[NAME_PATH];
    if (!local_name(c, path))
        return false;
    if (mkdir(path, 0777) == 0)
        return true;
    say("Couldn't create local directory \"%s\": %s", CLEAN(path), strerror(errno));
    return false;
}

bool sftp_local_where(const struct sftp_call *c) {
    char path[NAME_PATH];
    (void)c;
    if (getcwd(path, sizeof path) == NULL) {
        say("Couldn't get local cwd: %s", strerror(errno));
        return false;
    }
    printf("Local working directory: %s\n", CLEAN(path));
    return true;
}

bool sftp_local_mask(const struct sftp_call *c) {
    char *end = NULL;
    unsigned long mask = strtoul(c->args[0], &end, 8);
    if (*c->args[0] == '\0' || *end != '\0' || mask > 0777) {
        say("lumask: \"%s\" is no umask in octal", CLEAN(c->args[0]));
        return false;
    }
    umask((mode_t)mask);
    printf("Local umask: %03lo\n", mask);
    return true;
}

// What the person types after ! and lls is for that person's shell.
bool sftp_local_shell(const char *command) {
    scoped_words line = {0};
    struct fault fault = {0};
    const char *shell = getenv("SHELL");
    if (shell == NULL || *shell == '\0')
        shell = "/bin/sh";
    enum err e = words_add(&line, shell);
    if (e == OK && *command != '\0')
        e = words_add(&line, "-c");
    if (e == OK && *command != '\0')
        e = words_add(&line, command);
    fflush(stdout);
    interrupt_hold(true);
    int status = e == OK ? program_run(shell, &line, &fault) : -1;
    interrupt_hold(false);
    if (status > 0)
        say("Shell exited with status %d", status);
    else if (status < 0)
        say("%s: %s", CLEAN(shell), fault.code != OK ? fault_text(&fault) : "was killed");
    return status == 0;
}

// The whole line is the argument: "lls -l *.c".
bool sftp_local_list(const struct sftp_call *c) {
    char command[SFTP_LINE_MAX + 16];
    const char *rest = c->n > 0 ? c->args[0] + strlen("lls") : "";
    snprintf(command, sizeof command, "ls%s", rest);
    return sftp_local_shell(command);
}
