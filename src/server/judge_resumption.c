// A login that comes back for its connection, and in place of a person has a proof that
// it knows the connection's secret, which the holder has found to be right
// (doc/resume.md). The proof stands for those methods that asked a person at the
// connection's first login, as far as they are wanted and allowed now; keys are shown
// anew. All else that a login has to pass, it passes here too.
#include "server/judge_state.h"

static bool may(const struct judge_methods *m, uint32_t factors, int method) {
    return judge_method_asks((enum judge_method)method) && (factors >> method & 1) &&
           judge_methods_may(m, (enum judge_method)method);
}

static enum judge_method next(const struct judge_methods *m, uint32_t factors) {
    int method = 0;
    while (method < METHOD_COUNT && !may(m, factors, method))
        method++;
    return (enum judge_method)method;
}

// Fulfils all but the last of them, which is returned; METHOD_COUNT: there is none.
static enum judge_method all_but_last(struct judge *j, uint32_t factors) {
    struct judge_methods tried = j->methods;
    enum judge_method last = METHOD_COUNT, method;
    while ((method = next(&tried, factors)) != METHOD_COUNT) {
        if (last != METHOD_COUNT)
            (void)judge_methods_done(&j->methods, last);
        j->factors |= 1u << method;
        factors &= ~(1u << method);
        last = method;
        if (judge_methods_done(&tried, method))
            break;
    }
    return last;
}

// As the password method has it: an expired one lets nobody in without a new one.
static bool password_expired(const struct judge *j) {
    return !j->config.use_pam && j->account.shadow_known && j->account.must_change;
}

void judge_on_factors(struct judge *j, const struct ipc_factors *m) {
    enum judge_method last = METHOD_COUNT;
    j->vouched = true;
    if (j->allowed && j->comes_back && !password_expired(j))
        last = all_but_last(j, m->methods);
    if (last == METHOD_COUNT)
        judge_refuse(j, m->ticket, RESUMPTION_METHOD, "");
    else
        judge_fulfilled(j, m->ticket, last);
}
