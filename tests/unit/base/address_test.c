// Addresses, networks, lists: RFC 4291, RFC 5952, and the rules of OpenSSH's address
// lists.
#include "base/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void text_forms(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;  // out NULL: malformed
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"256.1.1.1", NULL},
        {"1.2.3", NULL},
        {"1.2.3.4.5", NULL},
        {"01.2.3.4", NULL},
        {"1.2.3.4 ", NULL},
        {"1.2.3.4%eth0", NULL},
        {"", NULL},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:DB8::1", "2001:db8::1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"fe80::1%eth0", "fe80::1%eth0"},
        {"fe80::1%", NULL},
        {"fe80::1%averyverylongname0", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"1:2:3:4:5:6:7", NULL},
        {"1::2::3", NULL},
        {":::", NULL},
        {":1", NULL},
        {"1:", NULL},
        {"12345::", NULL},
        {"1:2:3:4:5:6:7:8::", NULL},
        {"::1:2:3:4:5:6:7:8", NULL},
        {"::1.2.3.4:5", NULL},
        {"1:2:3:4:5:6:7:1.2.3.4", NULL},
        {"g::", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address a;
        char text[ADDRESS_TEXT_SIZE];
        bool good = address_parse(&a, rows[i].in);
        if (good != (rows[i].out != NULL))
            fail_msg("%s", rows[i].in);
        if (good)
            assert_string_equal(address_format(&a, text, sizeof text), rows[i].out);
    }
}

static void unmapping(void **state) {
    (void)state;
    struct address a, b;
    assert_true(address_parse(&a, "::ffff:10.1.2.3"));
    assert_true(address_parse(&b, "10.1.2.3"));
    assert_false(address_equal(&a, &b));
    address_unmap(&a);
    assert_true(address_equal(&a, &b));
}

static void networks(void **state) {
    (void)state;
    static const struct {
        const char *net;
        enum err parse;
        const char *address;
        bool in;
    } rows[] = {
        {"10.0.0.0/8", OK, "10.255.1.2", true},
        {"10.0.0.0/8", OK, "11.0.0.0", false},
        {"10.0.0.0/8", OK, "::ffff:10.0.0.1", false},
        {"0.0.0.0/0", OK, "203.0.113.9", true},
        {"192.0.2.5", OK, "192.0.2.5", true},
        {"192.0.2.5/32", OK, "192.0.2.4", false},
        {"192.0.2.128/25", OK, "192.0.2.200", true},
        {"192.0.2.128/25", OK, "192.0.2.127", false},
        {"2001:db8::/32", OK, "2001:db8:ffff::1", true},
        {"2001:db8::/32", OK, "2001:db9::1", false},
        {"::/0", OK, "::1", true},
        {"10.0.0.1/8", ERR_CONFIG, NULL, false},
        {"10.0.0.0/33", ERR_CONFIG, NULL, false},
        {"10.0.0.0/", ERR_CONFIG, NULL, false},
        {"10.0.0.0/x", ERR_CONFIG, NULL, false},
        {"2001:db8::1/32", ERR_CONFIG, NULL, false},
        {"2001:db8::/129", ERR_CONFIG, NULL, false},
        {"example.org", ERR_FORMAT, NULL, false},
        {"10.*", ERR_FORMAT, NULL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address_net net;
        struct address a;
        assert_int_equal(address_net_parse(&net, rows[i].net), rows[i].parse);
        if (rows[i].parse != OK)
            continue;
        assert_true(address_parse(&a, rows[i].address));
        assert_int_equal(address_net_contains(&net, &a), rows[i].in);
    }
}

static void lists(void **state) {
    (void)state;
    static const struct {
        const char *list, *host, *address;
        int result;
    } rows[] = {
        {"10.0.0.0/8", NULL, "10.1.1.1", 1},
        {"10.0.0.0/8,!10.1.0.0/16", NULL, "10.1.1.1", -1},
        {"!10.1.0.0/16,10.0.0.0/8", NULL, "10.2.1.1", 1},
        {"!10.1.0.0/16", NULL, "10.2.1.1", 0},
        {"10.*", NULL, "10.2.1.1", 1},
        {"*.example.org", "Gate.Example.ORG", "192.0.2.1", 1},
        {"*.example.org,!bad.example.org", "bad.example.org", "192.0.2.1", -1},
        {"*.example.org", NULL, "192.0.2.1", 0},
        {"10.0.0.0/8", NULL, "::ffff:10.0.0.1", 1},
        {"2001:db8::/32", NULL, "2001:db8::9", 1},
        {"10.0.0.1/8", NULL, "10.0.0.1", -2},
        {"10.0.0.0/8,10.0.0.1/8", NULL, "10.0.0.1", -2},
        {"10.0.0.0/8,", NULL, "10.0.0.1", -2},
        {"10.0.0.1/8", NULL, NULL, -2},
        {"10.0.0.0/8,*.example.org", NULL, NULL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((int)address_match_list(rows[i].list, rows[i].host, rows[i].address) !=
            rows[i].result)
            fail_msg("%s with %s: not %d", rows[i].list, rows[i].address, rows[i].result);
    assert_int_equal(address_match_cidr_list("10.0.0.0/8,::1", "::1"), ADDRESS_MATCH_YES);
    assert_int_equal(address_match_cidr_list("10.*", "10.0.0.1"), ADDRESS_MATCH_ERROR);
    assert_int_equal(address_match_cidr_list("!10.0.0.0/8", "10.0.0.1"),
                     ADDRESS_MATCH_ERROR);
    assert_int_equal(address_match_cidr_list("10.0.0.0/8", "nonsense"),
                     ADDRESS_MATCH_ERROR);
}

static void ports(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum err e;
        const char *host;
        unsigned port;
    } rows[] = {
        {"host", OK, "host", 22},
        {"host:2222", OK, "host", 2222},
        {"[::1]:80", OK, "::1", 80},
        {"[::1]", OK, "::1", 22},
        {"::1", OK, "::1", 22},
        {"fe80::1%eth0", OK, "fe80::1%eth0", 22},
        {"*:0", OK, "*", 0},
        {"host:", ERR_FORMAT, NULL, 0},
        {"host:65536", ERR_FORMAT, NULL, 0},
        {":22", ERR_FORMAT, NULL, 0},
        {"[::1", ERR_FORMAT, NULL, 0},
        {"[::1]x", ERR_FORMAT, NULL, 0},
        {"", ERR_FORMAT, NULL, 0},
        {"a-host-name-that-is-too-long-for-it", ERR_LIMIT, NULL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char host[24];
        uint16_t port = 22;
        assert_int_equal(address_split_port(rows[i].text, host, sizeof host, &port),
                         rows[i].e);
        if (rows[i].e != OK)
            continue;
        assert_string_equal(host, rows[i].host);
        assert_int_equal(port, rows[i].port);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_forms), cmocka_unit_test(unmapping),
        cmocka_unit_test(networks),   cmocka_unit_test(lists),
        cmocka_unit_test(ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
