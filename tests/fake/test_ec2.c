/* EC2, scripted: what moto does not do. It is too busy, breaks, shows things late, has no more. */

#include "lib/text.h"
#include "runner/cloud/ec2.h"
#include "runner/cloud/ec2_read.h"
#include "runner/cloud/provider.h"

#include "tests/fake/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATIENCE_NS (20 * NS_PER_SEC) /* a test that needs it has failed */
#define ASKED FAKE_EXPECT("POST / HTTP/1.1\r\n"), FAKE_BODY()
#define ASK(text) ASKED, FAKE_ANSWER("200 OK", text)
#define NO(status, code)                                                                           \
    ASKED, FAKE_ANSWER(status, "<Response><Errors><Error><Code>" code                              \
                               "</Code><Message>because</Message></Error></Errors>"                \
                               "</Response>")

/* ---- a world: keys, a journal, a deployment ---- */

static const char *access_key;

static const char *lookup(void *arg, const char *name) {
    (void)arg;
    return text_equal(name, "AWS_ACCESS_KEY_ID")           ? access_key
           : text_equal(name, "AWS_SECRET_ACCESS_KEY")     ? "s3cr3t"
           : text_equal(name, "AWS_EC2_METADATA_DISABLED") ? "true"
                                                           : NULL;
}
static const struct environment env = {.lookup = lookup};

/* Of the test that runs. */
static struct fixture {
    struct fake *fake;
    struct deployment *deployment;
    struct provider_settings settings;
    struct provider *provider;
    struct machines machines; /* what the last call gave */
    struct buffer journal, notes;
    struct error err;
    struct task task;
} f;

static int on_journal(void *arg, const char *event, struct json *fields, struct error *err) {
    (void)arg, (void)err;
    const char *action = json_text_or_null(json_member(fields, "action"));
    buffer_format(&f.journal, "%s %s;", event, action ? action : "");
    json_free(fields);
    return 0;
}

static char *on_pending(void *arg, const char *fleet, const char *region) {
    (void)arg, (void)fleet, (void)region;
    return NULL;
}

static void on_note(void *arg, const char *text) {
    (void)arg;
    buffer_format(&f.notes, "%s;", text);
}

static void start(const struct fake_step *script, const char *fleet) {
    access_key = "OLDKEY";
    f = (struct fixture){.provider = NULL};
    buffer_init(&f.journal, 1 << 16);
    buffer_init(&f.notes, 1 << 16);
    f.fake = fake_start(script);
    struct task forever = TASK_FOREVER;
    f.task = task_within(&forever, PATIENCE_NS);
    cleanup_free char *text =
        text_format("testbed: {provider: ec2, ssh_from: [1.1.1.1/32], fleets: {r: {regions: {a-1: "
                    "%s, instance_type: t, image: ami-1}}}",
                    fleet);
    if (deployment_parse("d", "/w", 0600, text, strlen(text), &env, &f.deployment, &f.err) < 0)
        fail_msg("%s", f.err.text);
    f.settings = (struct provider_settings){
        .deployment = f.deployment,
        .environment = &env,
        .owner = "me",
        .name = "d",
        .authorized_key = "ssh-ed25519 AAAA",
        .events = {.journal = on_journal, .pending = on_pending, .note = on_note, .arg = NULL},
        .unix_socket = fake_socket(f.fake),
        .pause_ns = NS_PER_MS};
    assert_int_equal(provider_open(&f.settings, &f.provider, &f.err), 0);
}

/* Whatever was sent and said, the secret was not among it. */
static void end(void) {
    f.provider->kind->close(f.provider);
    assert_string_equal(fake_finish(f.fake), "");
    assert_null(strstr(fake_received(), "s3cr3t"));
    assert_null(strstr(f.err.text, "s3cr3t"));
    assert_null(strchr(f.err.text, '\x1b'));
    deployment_free(f.deployment);
    machines_deinit(&f.machines);
    buffer_deinit(&f.journal);
    buffer_deinit(&f.notes);
}

static void assert_error(enum error_kind kind, const char *part) {
    if (f.err.kind != kind || !strstr(f.err.text, part))
        fail_msg("%s: %s (wanted %s: ...%s...)", error_kind_name(f.err.kind), f.err.text,
                 error_kind_name(kind), part);
}

/* Each in the place of what the one before has found. */
static int list(void) {
    machines_deinit(&f.machines);
    return f.provider->kind->list(f.provider, PROVIDER_DEPLOYMENT, &f.task, &f.machines, &f.err);
}

static int up(void) {
    machines_deinit(&f.machines);
    return f.provider->kind->up(f.provider, true, &f.task, &f.machines, &f.err);
}

static void bring_up(void) {
    if (up() < 0)
        fail_msg("%s", f.err.text);
}

static int down(const struct task *task) {
    machines_deinit(&f.machines);
    return f.provider->kind->down(f.provider, PROVIDER_DEPLOYMENT, task, &f.machines, &f.err);
}

static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    while ((text = strstr(text, part))) {
        text += strlen(part);
        count++;
    }
    return count;
}

/* ---- answers ---- */

#define TAG(key, value) "<item><key>" key "</key><value>" value "</value></item>"
#define TAGS                                                                                       \
    "<tagSet>" TAG(TAG_OWNER, "me") TAG(TAG_DEPLOYMENT, "d") TAG(TAG_FLEET, "r") "</tagSet>"
#define INSTANCE(id, state, more)                                                                  \
    "<item><instanceId>" id "</instanceId><instanceState><name>" state                             \
    "</name></instanceState><launchTime>2100-01-01T00:00:00.000Z</launchTime>" more TAGS "</item>"
#define NOBODY "<x><reservationSet/></x>"
#define MACHINES(items)                                                                            \
    "<x><reservationSet><item><instancesSet>" items "</instancesSet></item></reservationSet></x>"
#define ADDRESS "<ipAddress>9.9.9.9</ipAddress>"
#define VPC "<x><vpcSet><item><vpcId>vpc-1</vpcId></item></vpcSet></x>"
#define GROUP                                                                                      \
    "<x><securityGroupInfo><item><groupId>sg-1</groupId><vpcId>vpc-1</vpcId>" TAGS                 \
    "<ipPermissions><item><ipProtocol>-1</ipProtocol><groups><item><groupId>sg-1</groupId></item>" \
    "</groups></item><item><ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort>" \
    "<ipRanges><item><cidrIp>1.1.1.1/32</cidrIp></item></ipRanges></item></ipPermissions></item>"  \
    "</securityGroupInfo></x>"
#define NO_GROUP "<x><securityGroupInfo/></x>"
#define MADE "<x><instancesSet>" INSTANCE("i-1", "pending", "") "</instancesSet></x>"
#define LOOK(machines) ASK(machines), ASK(GROUP)
#define ENSURE_GROUP ASK(VPC), ASK(GROUP)
#define DONE ENSURE_GROUP, ASK("<x/>")
#define NONE_YET LOOK(NOBODY), ENSURE_GROUP
#define RUNS LOOK(MACHINES(INSTANCE("i-1", "running", ADDRESS)))
#define COMES_UP ASK(MADE), RUNS, DONE

/* ---- the client ---- */

static void who_is_too_busy_or_breaks_is_asked_again(void **state) {
    (void)state;
    static const struct fake_step script[] = {NO("503 Service Unavailable", "RequestLimitExceeded"),
                                              NO("500 Internal Server Error", "InternalError"),
                                              ASKED,
                                              FAKE_CLOSE(),
                                              ASK(NOBODY),
                                              ASK(NO_GROUP),
                                              FAKE_END()};
    start(script, "1}");
    assert_int_equal(list(), 0);
    assert_int_equal(f.machines.count, 0);
    end();
}

static void a_no_is_an_error_with_ec2s_words_and_a_hint(void **state) {
    (void)state;
    static const struct fake_step script[] = {NO("403 Forbidden", "UnauthorizedOperation"),
                                              FAKE_END()};
    start(script, "1}");
    assert_int_equal(list(), -1);
    assert_error(ERROR_REFUSED,
                 "DescribeInstances in a-1: EC2 says UnauthorizedOperation: because");
    assert_non_null(strstr(f.err.hint, "docs/EC2.md"));
    end();
}

/* What EC2 said to the call before is no answer to one that was never sent. */
static void a_call_that_is_cancelled_while_it_waits_has_no_answer(void **state) {
    (void)state;
    static const struct fake_step script[] = {NO("503 Service Unavailable", "RequestLimitExceeded"),
                                              NO("400 Bad Request", "DependencyViolation"),
                                              FAKE_END()};
    static const char *const expected[] = {"DependencyViolation", NULL};
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    cleanup(ec2_closep) struct ec2 *ec2 = NULL;
    cleanup(aws_chain_freep) struct aws_chain *chain = NULL;
    struct cancel cancel;
    start(script, "1}");
    chain = aws_chain_new(f.deployment, &env);
    struct ec2_options options = {
        .region = "a-1", .unix_socket = fake_socket(f.fake), .chain = chain, .pause_ns = NS_PER_MS};
    assert_int_equal(ec2_open(&options, &ec2, &f.err), 0);
    ec2_request_init(&request, "DeleteSecurityGroup");
    assert_int_equal(ec2_call(ec2, &request, expected, &f.task, NULL, &f.err), 1);
    assert_int_equal(cancel_init(&cancel, &f.err), 0);
    cancel_raise(&cancel, 1);
    f.task.cancel = &cancel;
    assert_int_equal(ec2_call(ec2, &request, expected, &f.task, NULL, &f.err), -1);
    assert_error(ERROR_CANCELLED, "DeleteSecurityGroup in a-1");
    assert_string_equal(ec2_code(ec2), "");
    cancel_deinit(&cancel);
    end();
}

static void renew_keys(void) {
    access_key = "NEWKEY";
}

static void a_token_that_expires_is_replaced_if_there_is_a_newer_one(void **state) {
    (void)state;
    static const struct fake_step script[] = {ASKED,
                                              FAKE_CALL(renew_keys),
                                              FAKE_ANSWER("400 Bad Request",
                                                          "<R><Errors><Error><Code>ExpiredToken"
                                                          "</Code></Error></Errors></R>"),
                                              ASK(NOBODY),
                                              ASK(NO_GROUP),
                                              NO("400 Bad Request", "RequestExpired"),
                                              FAKE_END()};
    start(script, "1}");
    assert_int_equal(list(), 0);
    assert_int_equal(list(), -1);
    assert_error(ERROR_REFUSED, "EC2 says RequestExpired");
    end();
    assert_int_equal(count_of(fake_received(), "Credential=OLDKEY/"), 1);
    assert_int_equal(count_of(fake_received(), "Credential=NEWKEY/"), 3);
}

/* In the middle of a run: who renews has newer keys by then, and hears what became of a machine. */
static void renewing_looks_for_newer_keys_and_says_what_spot_machines_ended_of(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        LOOK(MACHINES(INSTANCE("i-1", "running", ADDRESS) INSTANCE(
            "i-2", "terminated",
            "<instanceLifecycle>spot</instanceLifecycle><stateReason><code>"
            "Server.SpotInstanceTermination</code><message>gone</message></stateReason>"))),
        ASKED,
        FAKE_CALL(renew_keys),
        FAKE_ANSWER("400 Bad Request",
                    "<R><Errors><Error><Code>ExpiredToken</Code></Error></Errors></R>"),
        ASK("<x/>"),
        FAKE_END()};
    start(script, "1}");
    if (f.provider->kind->renew(f.provider, &f.task, &f.machines, &f.err) < 0)
        fail_msg("%s", f.err.text);
    assert_string_equal(f.journal.data, "call CreateTags;");
    for (size_t i = 0; i < f.machines.count; i++)
        if (text_equal(f.machines.items[i].id, "i-2")) {
            assert_true(f.machines.items[i].spot);
            assert_true(
                text_starts(f.machines.items[i].reason, "Server.SpotInstanceTermination: "));
        }
    end();
    assert_int_equal(count_of(fake_received(), "Credential=NEWKEY/"), 1);
    /* What has ended is not renewed; the group is. */
    assert_int_equal(count_of(fake_received(), "&ResourceId.1=i-1&ResourceId.2=sg-1&"), 2);
}

static void a_sweep_takes_all_pages(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        ASK("<x><reservationSet><item><instancesSet>" INSTANCE("i-1", "running", ADDRESS)
                INSTANCE("i-2", "running", "") "</instancesSet></item></reservationSet>"
                                               "<nextToken>a b/c</nextToken></x>"),
        ASK(MACHINES(INSTANCE("i-3", "stopped", ""))), ASK(NO_GROUP), FAKE_END()};
    start(script, "1}");
    assert_int_equal(list(), 0);
    assert_int_equal(f.machines.count, 3);
    assert_string_equal(f.machines.items[0].name, "r-1");
    assert_string_equal(f.machines.items[1].name, "");
    end();
    assert_int_equal(count_of(fake_received(), "&NextToken=a+b%2Fc"), 1);
}

/* A page of `count` machines; malloc()ed. */
static char *page_of(size_t first, size_t count, bool last) {
    cleanup(buffer_deinit) struct buffer page;
    buffer_init(&page, 1 << 22);
    buffer_text(&page, "<x><reservationSet><item><instancesSet>");
    for (size_t i = first; i < first + count; i++)
        buffer_format(&page,
                      "<item><instanceId>i-%zx</instanceId><instanceState><name>running</name>"
                      "</instanceState>" TAGS "</item>",
                      i);
    buffer_format(&page, "</instancesSet></item></reservationSet>%s</x>",
                  last ? "" : "<nextToken>more</nextToken>");
    return text_dup(buffer_string(&page));
}

/* As EC2 gives them, whatever is asked for: 1,000 by page at most. */
static void a_thousand_machines_are_one_sweep(void **state) {
    (void)state;
    enum { PAGES = 4, MACHINES_BY_PAGE = 250 };
    cleanup_free char *first = page_of(1, MACHINES_BY_PAGE, false),
                      *second = page_of(1001, MACHINES_BY_PAGE, false),
                      *third = page_of(2001, MACHINES_BY_PAGE, false),
                      *last = page_of(3001, MACHINES_BY_PAGE, true);
    const struct fake_step script[] = {ASK(first), ASK(second),   ASK(third),
                                       ASK(last),  ASK(NO_GROUP), FAKE_END()};
    start(script, "1}");
    assert_int_equal(list(), 0);
    assert_int_equal(f.machines.count, PAGES * MACHINES_BY_PAGE);
    end();
    assert_int_equal(count_of(fake_received(), "Action=DescribeInstances&"), PAGES);
    assert_int_equal(count_of(fake_received(), "&MaxResults=1000"), PAGES + 1);
}

static void what_is_no_answer_of_ec2_is_an_error(void **state) {
    (void)state;
    static const struct fake_step script[] = {ASK("<html><body>hello</html>"), ASK("<x/>"), ASKED,
                                              FAKE_ANSWER("404 Not Found", "no"), FAKE_END()};
    static const char *const parts[] = {"the XML is broken", "it lists no machines",
                                        "EC2 answered with status 404"};
    start(script, "1}");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(list(), -1);
        assert_error(ERROR_INVALID, parts[i]);
    }
    end();
}

/* ---- machines ---- */

/* The connection breaks after EC2 has taken the request: it is repeated with the same token. What
 * was made is not shown at first: it is waited for, and nothing is made again. */
static void a_lost_answer_makes_no_second_machine(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        NONE_YET,  ASKED,        FAKE_CLOSE(),
        ASK(MADE), LOOK(NOBODY), LOOK(MACHINES(INSTANCE("i-1", "pending", ""))),
        RUNS,      DONE,         FAKE_END()};
    start(script, "1}");
    bring_up();
    assert_string_equal(buffer_string(&f.journal),
                        "make RunInstances;made RunInstances;call CreateTags;");
    assert_string_equal(f.machines.items[0].name, "r-1");
    end();
    const char *first = strstr(fake_received(), "&ClientToken=");
    assert_non_null(first);
    cleanup_free char *token = text_format("%.40s", first);
    assert_int_equal(count_of(fake_received(), "Action=RunInstances&"), 2);
    assert_int_equal(count_of(fake_received(), token), 2);
    assert_int_equal(count_of(fake_received(), "&MinCount=1&MaxCount=1&"), 2);
    assert_int_equal(count_of(fake_received(), "&MetadataOptions.HttpTokens=required&"), 2);
    assert_int_equal(count_of(fake_received(), "&InstanceInitiatedShutdownBehavior=terminate&"), 2);
    assert_int_equal(count_of(fake_received(), ".Key=io.seatrial.owner&"), 2 * 3);
}

static void where_capacity_lacks_other_zones_are_tried(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        NONE_YET, NO("500 Internal Server Error", "InsufficientInstanceCapacity"), COMES_UP,
        FAKE_END()};
    start(script, "{count: 1, zones: [a-1x, a-1y]}}");
    bring_up();
    end();
    assert_int_equal(count_of(fake_received(), "&Placement.AvailabilityZone=a-1x&"), 1);
    assert_int_equal(count_of(fake_received(), "&Placement.AvailabilityZone=a-1y&"), 1);
}

#define IMAGE(id, created)                                                                         \
    "<item><imageId>" id "</imageId><creationDate>" created "</creationDate></item>"

static void an_image_is_the_newest_of_its_name_or_none(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        LOOK(NOBODY),
        ASK("<x><imagesSet/></x>"),
        LOOK(NOBODY),
        ASK("<x><imagesSet>" IMAGE("ami-7", "2026-01-01") IMAGE("ami-8", "2026-03-01")
                IMAGE("ami-9", "2026-02-01") "</imagesSet></x>"),
        ENSURE_GROUP,
        COMES_UP,
        FAKE_END()};
    start(script, "{count: 1, image: 'name:them/p-*'}}");
    assert_int_equal(up(), -1);
    assert_error(ERROR_NOT_FOUND, "fleet 'r': a-1 has no image 'p-*' of owner 'them'");
    assert_non_null(strstr(f.err.hint, "aws ec2 describe-images --owners them"));
    bring_up();
    end();
    assert_int_equal(count_of(fake_received(), "Action=DescribeImages&"), 2);
    assert_int_equal(count_of(fake_received(), "&ImageId=ami-8&"), 1);
}

/* EC2 is asked by which device the image has it, and only where that is wanted. */
static void a_root_disk_of_a_chosen_size_is_the_images_root_device(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        LOOK(NOBODY),
        ASK("<x><imagesSet><item><imageId>ami-1</imageId><rootDeviceName>/dev/xvda</rootDeviceName>"
            "</item></imagesSet></x>"),
        ENSURE_GROUP,
        COMES_UP,
        LOOK(NOBODY),
        ASK("<x><imagesSet/></x>"),
        FAKE_END()};
    start(script, "1}, disk: {size: 100g, type: gp3, iops: 6000, throughput_mib: 500}");
    bring_up();
    assert_int_equal(up(), -1);
    assert_error(ERROR_NOT_FOUND, "fleet 'r': a-1 has no image 'ami-1'");
    end();
    assert_int_equal(
        count_of(fake_received(),
                 "&BlockDeviceMapping.1.DeviceName=%2Fdev%2Fxvda"
                 "&BlockDeviceMapping.1.Ebs.DeleteOnTermination=true"
                 "&BlockDeviceMapping.1.Ebs.VolumeSize=100&BlockDeviceMapping.1.Ebs.VolumeType=gp3"
                 "&BlockDeviceMapping.1.Ebs.Iops=6000&BlockDeviceMapping.1.Ebs.Throughput=500&"),
        1);
}

static void what_no_zone_has_is_said_of_each(void **state) {
    (void)state;
    static const struct fake_step script[] = {NONE_YET,
                                              NO("400 Bad Request", "InsufficientInstanceCapacity"),
                                              NO("400 Bad Request", "Unsupported"), FAKE_END()};
    start(script, "{count: 3, zones: [a-1x, a-1y]}}");
    assert_int_equal(up(), -1);
    assert_error(ERROR_REFUSED,
                 "fleet 'r': 3 of t are not to be had (a-1x: InsufficientInstanceCapacity; a-1y: "
                 "Unsupported)");
    assert_string_equal(buffer_string(&f.journal), "make RunInstances;refused RunInstances;");
    end();
}

static void spot_machines_are_replaced_on_demand_only_where_it_is_said(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        NONE_YET, NO("400 Bad Request", "MaxSpotInstanceCountExceeded"), COMES_UP, FAKE_END()};
    start(script, "1}, market: spot, spot_fallback: true");
    bring_up();
    assert_non_null(strstr(buffer_string(&f.notes), "fleet r: no spot machines (a-1 (spot): MaxS"));
    end();
    assert_int_equal(count_of(fake_received(), "MarketType=spot"), 1);
}

static void a_quota_is_an_error_and_a_machine_that_ends_is_named(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        NONE_YET,
        NO("400 Bad Request", "VcpuLimitExceeded"),
        NONE_YET,
        ASK(MADE),
        LOOK(MACHINES(INSTANCE("i-1", "terminated",
                               "<stateReason><code>Server.InternalError</code>"
                               "<message>bad disk</message></stateReason>"))),
        FAKE_END()};
    start(script, "1}");
    assert_int_equal(up(), -1);
    assert_error(ERROR_REFUSED, "EC2 says VcpuLimitExceeded");
    assert_non_null(strstr(f.err.hint, "Service Quotas"));
    assert_int_equal(up(), -1);
    assert_error(ERROR_FAILED, "machine i-1 of fleet 'r' in a-1 ended: Server.InternalError");
    end();
}

/* A machine that was not seen at first ends too, and a group goes once nothing uses it. */
static void down_looks_until_nothing_is_left(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        LOOK(MACHINES(INSTANCE("i-1", "running", ""))),
        ASK("<x/>"),
        LOOK(MACHINES(INSTANCE("i-1", "shutting-down", "") INSTANCE("i-2", "pending", ""))),
        ASK("<x/>"),
        LOOK(MACHINES(INSTANCE("i-1", "terminated", "") INSTANCE("i-2", "terminated", ""))),
        NO("400 Bad Request", "DependencyViolation"),
        LOOK(NOBODY),
        ASK("<x/>"),
        ASK(NOBODY),
        ASK(NO_GROUP),
        FAKE_END()};
    start(script, "1}");
    if (down(&f.task) < 0)
        fail_msg("%s", f.err.text);
    assert_int_equal(f.machines.count, 0);
    assert_string_equal(buffer_string(&f.journal),
                        "call TerminateInstances;call TerminateInstances;"
                        "call DeleteSecurityGroup;call DeleteSecurityGroup;");
    end();
}

/* It is no answer that nothing is left. */
static void down_that_cannot_look_in_time_does_not_say_that_nothing_is_left(void **state) {
    (void)state;
    static const struct fake_step script[] = {FAKE_END()};
    start(script, "1}");
    struct task over = task_within(&f.task, 0);
    assert_int_equal(down(&over), -1);
    assert_error(ERROR_TIMEOUT, "DescribeInstances in a-1");
    end();
}

/* What the last whole look saw is what is left. */
static void down_that_runs_out_of_time_lists_what_it_saw_last(void **state) {
    (void)state;
    static const struct fake_step script[] = {LOOK(MACHINES(INSTANCE("i-1", "running", ""))),
                                              ASK("<x/>"),
                                              LOOK(MACHINES(INSTANCE("i-1", "terminated", ""))),
                                              NO("400 Bad Request", "DependencyViolation"),
                                              ASKED,
                                              FAKE_STALL(),
                                              FAKE_END()};
    start(script, "1}");
    struct task over = task_within(&f.task, NS_PER_SEC);
    assert_int_equal(down(&over), 0);
    assert_int_equal(f.machines.count, 1);
    assert_string_equal(f.machines.items[0].id, "sg-1");
    end();
}

static void what_has_no_tag_of_ours_is_never_touched(void **state) {
    (void)state;
#define STRANGER                                                                                   \
    "<item><instanceId>i-7</instanceId><instanceState><name>running</name></instanceState>"        \
    "<tagSet>" TAG(TAG_OWNER, "you")                                                               \
        TAG(TAG_DEPLOYMENT, "d") "</tagSet></item>"                                                \
                                 "<item><instanceId>i-8</"                                         \
                                 "instanceId><instanceState><name>running</name></instanceState>"  \
                                 "<tagSet>" TAG(TAG_OWNER, "me")                                   \
                                     TAG(TAG_DEPLOYMENT, "e") "</tagSet></item>"
    static const struct fake_step script[] = {ASK(MACHINES(STRANGER)), ASK(NO_GROUP),
                                              ASK(MACHINES(STRANGER)), ASK(NO_GROUP), FAKE_END()};
    start(script, "1}");
    assert_int_equal(down(&f.task), 0);
    assert_int_equal(f.machines.count, 0);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_too_busy_or_breaks_is_asked_again),
        cmocka_unit_test(a_no_is_an_error_with_ec2s_words_and_a_hint),
        cmocka_unit_test(a_call_that_is_cancelled_while_it_waits_has_no_answer),
        cmocka_unit_test(a_token_that_expires_is_replaced_if_there_is_a_newer_one),
        cmocka_unit_test(renewing_looks_for_newer_keys_and_says_what_spot_machines_ended_of),
        cmocka_unit_test(a_sweep_takes_all_pages),
        cmocka_unit_test(a_thousand_machines_are_one_sweep),
        cmocka_unit_test(what_is_no_answer_of_ec2_is_an_error),
        cmocka_unit_test(a_lost_answer_makes_no_second_machine),
        cmocka_unit_test(where_capacity_lacks_other_zones_are_tried),
        cmocka_unit_test(an_image_is_the_newest_of_its_name_or_none),
        cmocka_unit_test(a_root_disk_of_a_chosen_size_is_the_images_root_device),
        cmocka_unit_test(what_no_zone_has_is_said_of_each),
        cmocka_unit_test(spot_machines_are_replaced_on_demand_only_where_it_is_said),
        cmocka_unit_test(a_quota_is_an_error_and_a_machine_that_ends_is_named),
        cmocka_unit_test(down_looks_until_nothing_is_left),
        cmocka_unit_test(down_that_cannot_look_in_time_does_not_say_that_nothing_is_left),
        cmocka_unit_test(down_that_runs_out_of_time_lists_what_it_saw_last),
        cmocka_unit_test(what_has_no_tag_of_ours_is_never_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
