/* template_unicode.c: what Python's string methods ask of a character: its class and its other case. */
#include "text/template_case_table.h"
#include "text/template_private.h"
#include "text/unicode_classes.h"

bool template_unicode_is_space(uint32_t code) {
    if (code < 0x80) return code == ' ' || (code >= 9 && code <= 13) || (code >= 0x1C && code <= 0x1F);
    return unicode_is_space(unicode_category(code));
}

bool template_unicode_is_printable(uint32_t code) {
    if (code < 0x7F) return code >= 0x20;
    switch (unicode_category(code)) {
        case UNICODE_CN:
        case UNICODE_CC:
        case UNICODE_CF:
        case UNICODE_CS:
        case UNICODE_CO:
        case UNICODE_ZS:
        case UNICODE_ZL:
        case UNICODE_ZP:
        case UNICODE_WC:
            return false;
        default:
            return true;
    }
}

bool template_unicode_is_letter(uint32_t code) { return unicode_is_letter(unicode_category(code)); }

bool template_unicode_is_digit(uint32_t code) { return unicode_category(code) == UNICODE_ND; }

static const struct case_range *find_range(const struct case_range *ranges, size_t n, uint32_t code) {
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (ranges[middle].last < code) low = middle + 1;
        else high = middle;
    }
    /* Runs of every second code point may interleave, so a few neighbours are looked at. */
    for (size_t i = low; i < n && i < low + 3; i++) {
        const struct case_range *c = &ranges[i];
        if (code >= c->first && code <= c->last && (code - c->first) % c->stride == 0) return c;
    }
    return NULL;
}

static uint32_t map(const struct case_range *ranges, size_t n, uint32_t code) {
    const struct case_range *c = find_range(ranges, n, code);
    return c ? code + (uint32_t)c->delta : code;
}

bool template_unicode_is_cased(uint32_t code) {
    uint32_t out[3];
    return template_unicode_case(code, 'u', out) > 1 || out[0] != code || template_unicode_case(code, 'l', out) > 1 ||
           out[0] != code;
}

int template_unicode_case(uint32_t code, char how, uint32_t out[3]) {
    if (code >= 0x80) {
        for (size_t i = 0; i < template_case_n_special; i++) {
            const struct case_special *s = &template_case_special[i];
            if (s->code != code || s->how != how) continue;
            int n = 0;
            while (n < 3 && s->out[n]) out[n] = s->out[n], n++;
            return n;
        }
    }
    const bool upper = how == 'u' || how == 't';
    if (code < 0x80) {
        const bool moves = upper ? code >= 'a' && code <= 'z' : code >= 'A' && code <= 'Z';
        out[0] = moves ? code ^ 0x20 : code;
        return 1;
    }
    const struct case_range *own = how == 't'   ? find_range(template_case_title, template_case_n_title, code)
                                   : how == 'f' ? find_range(template_case_fold, template_case_n_fold, code)
                                                : NULL;
    if (own) out[0] = code + (uint32_t)own->delta;
    else if (upper) out[0] = map(template_case_upper, template_case_n_upper, code);
    else out[0] = map(template_case_lower, template_case_n_lower, code);
    return 1;
}
