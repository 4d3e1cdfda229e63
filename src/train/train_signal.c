/* train_signal.c: see train_signal.h. */
#include "train/train_signal.h"

#include <signal.h>
#include <stddef.h>

static const int caught[] = {SIGTERM, SIGUSR1, SIGINT};
#define N_CAUGHT (sizeof caught / sizeof caught[0])

static volatile sig_atomic_t seen;
static struct sigaction before[N_CAUGHT];

static void on_signal(int number) {
    if (seen) { /* at once, by the signal's own death: what is published on disk is whole at any moment */
        signal(number, SIG_DFL);
        raise(number);
    }
    seen = number;
}

void train_signal_catch(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    seen = 0;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < N_CAUGHT; i++) sigaction(caught[i], &action, &before[i]);
}

int train_signal_seen(void) { return seen; }

void train_signal_release(void) {
    for (size_t i = 0; i < N_CAUGHT; i++) sigaction(caught[i], &before[i], NULL);
}
