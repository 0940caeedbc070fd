// A PAM module that does what modules should not: which, says the file that is its
// argument.
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGES 40

static int talk(pam_handle_t *h, int n, int style, const char *text) {
    static struct pam_message messages[MESSAGES];
    const struct pam_message *list[MESSAGES];
    const struct pam_conv *conv = NULL;
    struct pam_response *answers = NULL;
    for (int i = 0; i < MESSAGES; i++) {
        messages[i] = (struct pam_message){style, text};
        list[i] = &messages[i];
    }
    if (pam_get_item(h, PAM_CONV, (const void **)&conv) != PAM_SUCCESS)
        return PAM_AUTH_ERR;
    int e = conv->conv(n, list, &answers, conv->appdata_ptr);
    if (e != PAM_SUCCESS || answers == NULL)
        return PAM_AUTH_ERR;
    for (int i = 0; i < n; i++) {
        if (answers[i].resp == NULL || strcmp(answers[i].resp, "yes") != 0)
            return PAM_AUTH_ERR;
        free(answers[i].resp);
    }
    free(answers);
    return PAM_SUCCESS;
}

static char *huge(void) {
    static char text[200001];
    memset(text, 'x', sizeof text - 1);
    return text;
}

int pam_sm_authenticate(pam_handle_t *h, int flags, int argc, const char **argv) {
    char mode[64] = "";
    FILE *f = argc == 1 ? fopen(argv[0], "r") : NULL;
    (void)flags;
    if (f == NULL || fscanf(f, "%63s", mode) != 1)
        return PAM_AUTH_ERR;
    fclose(f);
    static const struct {
        const char *name;
        int n, style;
        const char *text;
    } talks[] = {
        {"one", 1, PAM_PROMPT_ECHO_OFF, "? "},
        {"max", 32, PAM_PROMPT_ECHO_ON, "? "},
        {"many", 33, PAM_PROMPT_ECHO_ON, "? "},
        {"zero", 0, PAM_PROMPT_ECHO_ON, "? "},
        {"negative", -1, PAM_PROMPT_ECHO_ON, "? "},
        {"binary", 1, 7, "\1\2\3"},
        {"unknown-style", 1, 99, "? "},
        {"no-text", 1, PAM_PROMPT_ECHO_OFF, NULL},
        {"no-info", 1, PAM_TEXT_INFO, NULL},
        {"controls", 1, PAM_ERROR_MSG, "\033[31m\a\n\r%s%n"},
    };
    for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++)
        if (strcmp(mode, talks[i].name) == 0)
            return talk(h, talks[i].n, talks[i].style, talks[i].text);
    if (strcmp(mode, "huge") == 0)
        return talk(h, 1, PAM_PROMPT_ECHO_OFF, huge());
    if (strcmp(mode, "huge-info") == 0)
        return talk(h, 1, PAM_TEXT_INFO, huge());
    if (strcmp(mode, "abort") == 0)
        abort();
    if (strcmp(mode, "exit") == 0)
        exit(0);
    if (strcmp(mode, "close") == 0)
        for (int fd = 0; fd < 256; fd++)
            close(fd);
    if (strcmp(mode, "code") == 0)
        return 999;
    if (strcmp(mode, "pam-abort") == 0)
        return PAM_ABORT;
    return strcmp(mode, "slow") == 0
               ? (int)(sleep(1), talk(h, 1, PAM_PROMPT_ECHO_OFF, "? "))
               : PAM_AUTH_ERR;
}

int pam_sm_setcred(pam_handle_t *h, int flags, int argc, const char **argv) {
    (void)h;
    (void)flags;
    (void)argc;
    (void)argv;
    return PAM_SUCCESS;
}
