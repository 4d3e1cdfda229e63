/* hub_near.c: which name a person may have meant. */
#include <string.h>
#include <strings.h>

#include "hub/hub_private.h"

enum { FAR = 4 }; /* so many changes make another word */

/* How many letters have to be changed, added or left out to come from a to b, which is at most HUB_MAX_NAME long. */
static int distance(const char *a, const char *b) {
    int row[HUB_MAX_NAME + 1];
    const int n_a = (int)strlen(a), n_b = (int)strlen(b);
    for (int j = 0; j <= n_b; j++) row[j] = j;
    for (int i = 1; i <= n_a; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n_b; j++) {
            const int changed = diagonal + (strncasecmp(a + i - 1, b + j - 1, 1) != 0);
            const int shorter = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = changed < shorter ? changed : shorter;
        }
    }
    return row[n_b];
}

void hub_near_consider(struct hub_near *near, const char *name) {
    if (strlen(near->wanted) > HUB_MAX_NAME || strlen(name) > HUB_MAX_NAME) return;
    const int d = distance(near->wanted, name);
    if (d >= FAR || (size_t)d >= strlen(near->wanted) || (near->best && d >= near->distance)) return;
    near->best = name;
    near->distance = d;
}
