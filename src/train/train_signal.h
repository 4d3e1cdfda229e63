/* train_signal.h: SIGTERM, SIGUSR1 and SIGINT while a run goes: the first lets the step end, the second ends the
 * process at once. One run at a time. */
#ifndef TRAIN_TRAIN_SIGNAL_H
#define TRAIN_TRAIN_SIGNAL_H

/* From here to train_signal_release() the signals are the run's. */
void train_signal_catch(void);
/* The first signal that came; 0: none. */
int train_signal_seen(void);
void train_signal_release(void);

#endif
