/* metadata_view and metadata_cache: what a container sees, what is asked upstream, and when. The
 * "host" here is a table that answers what the cache has queued. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/identity_document.h"
#include "core/metadata_view.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define ROLE "arn:aws:iam::123456789012:role/web"
#define MACS "/latest/meta-data/network/interfaces/macs/"
#define M1 "0e:49:61:0f:c3:11"

static const struct {
	const char *path, *value;
} host[] = {
	{"/latest/dynamic/instance-identity/pkcs7", "HOSTSIGNATURE"},
	{"/latest/meta-data/ami-id", "ami-1"},
	{"/latest/meta-data/block-device-mapping/", "ami\nebs1\n../iam\nbad name\n\xff\nroot"},
	{"/latest/meta-data/block-device-mapping/ami", "/dev/xvda"},
	{"/latest/meta-data/block-device-mapping/root", "/dev/xvda"},
	{"/latest/meta-data/instance-id", "i-1"},
	{"/latest/meta-data/local-ipv4", "10.1.2.3"},
	{"/latest/meta-data/placement/availability-zone", "us-east-1a"},
	{"/latest/meta-data/placement/availability-zone-id", "use1-az4"},
	{"/latest/meta-data/placement/region", "us-east-1"},
	{"/latest/meta-data/public-keys/", "0=host-key"},
	{"/latest/meta-data/public-keys/0/openssh-key", "HOSTPUBLICKEY"},
	{"/latest/meta-data/spot/instance-action", "{}"},
	{MACS, M1 "/"},
	{MACS M1 "/ipv4-associations/", "203.0.113.1"},
	{MACS M1 "/ipv4-associations/203.0.113.1", "10.1.2.3"},
	{MACS M1 "/mac", M1},
	{"/latest/user-data", "HOSTUSERDATA"},
};

struct bed {
	struct metadata_cache cache;
	struct container_metadata *own;
	struct metadata_allow host_allow;
	struct buf asked;
	struct metadata_view view;
};

static void open_bed(struct bed *bed, const char *members)
{
	static const struct registration_defaults defaults = {
		.tokens_required = true, .hop_limit = 1, .duration_s = 3600};
	struct registration *registration = NULL;
	struct diag diag = {0};
	char body[2048];

	*bed = (struct bed){0};
	metadata_cache_init(&bed->cache);
	snprintf(body, sizeof(body), "{\"role_arn\":\"" ROLE "\",\"netns\":\"/x\"%s%s}",
		 members[0] ? "," : "", members);
	if (registration_parse("c", body, strlen(body), &defaults, &registration, &diag) < 0 ||
	    container_metadata_new(registration, &bed->own, &diag) < 0)
		fail_msg("%s: %s %s", members, diag.field, diag.text);
	registration_free(registration);
	bed->view = (struct metadata_view){.own = bed->own,
					   .host_allow = &bed->host_allow,
					   .cache = &bed->cache,
					   .now_ms = 1000000};
}

static void close_bed(struct bed *bed)
{
	metadata_cache_deinit(&bed->cache);
	container_metadata_free(bed->own);
	buf_deinit(&bed->asked);
}

/* The host answers everything that is queued. */
static unsigned serve(struct bed *bed)
{
	struct metadata_item *item;
	unsigned n = 0;

	while ((item = metadata_cache_next(&bed->cache))) {
		const char *value = NULL;
		for (size_t i = 0; i < N(host); i++)
			if (strcmp(host[i].path, item->path) == 0)
				value = host[i].value;
		buf_printf(&bed->asked, "%s\n", item->path);
		metadata_cache_finished(&bed->cache, item, value ? METADATA_GOT : METADATA_NOTHING,
					value, value ? strlen(value) : 0, 7, bed->view.now_ms);
		n++;
	}
	return n;
}

/* What the path answers, waiting as long as that makes sense: a text, a listing, or NULL. */
static const char *ask(struct bed *bed, const char *path, struct buf *out)
{
	const char *rest;
	const struct metadata_node *node = metadata_tree_find(path, &rest);
	enum metadata_answer answer;
	struct metadata_text text;

	if (!node)
		return NULL;
	do {
		buf_reset(out);
		if (!node->entry) {
			answer = metadata_view_list(&bed->view, node, path, out);
		} else {
			answer = metadata_view_get(&bed->view, node, path, &text);
			if (answer == METADATA_FOUND)
				buf_put(out, text.text, text.len);
		}
	} while (answer == METADATA_WAIT && serve(bed) > 0);
	return answer == METADATA_FOUND ? (out->data ? out->data : "") : NULL;
}

#define ALL                                                                                        \
	"\"allow\":[\"user-data\",\"meta-data/public-keys\",\"meta-data/spot\",\"meta-data/"       \
	"network\","                                                                               \
	"\"meta-data/local-ipv4\",\"dynamic/instance-identity\"]"
#define OWN_MAC                                                                                    \
	"\"metadata\":{\"mac\":\"02:00:0a:00:00:07\",\"local-ipv4\":\"10.0.0.7\",\"tags\":"        \
	"{\"b\":\"2\",\"a\":\"1\"}}"

static void test_answers(void **state)
{
	static const struct {
		const char *members, *path, *answer; /* NULL: 404 */
	} rows[] = {
		/* Nothing said: the harmless part of the host's. */
		{"", "", "dynamic\nmeta-data"},
		{"", "dynamic", "instance-identity/"},
		{"", "dynamic/instance-identity", "document"},
		{"", "meta-data", "ami-id\nblock-device-mapping/\niam/\ninstance-id\nplacement/"},
		{"", "meta-data/iam", "info\nsecurity-credentials/"},
		{"", "meta-data/ami-id", "ami-1"},
		{"", "meta-data/kernel-id", NULL},
		{"", "meta-data/placement", "availability-zone\navailability-zone-id\nregion"},
		{"", "meta-data/block-device-mapping", "ami\nroot"},
		{"", "meta-data/block-device-mapping/root", "/dev/xvda"},
		{"", "meta-data/block-device-mapping/swap", NULL},
		{"", "meta-data/network", NULL},
		{"", "meta-data/local-ipv4", NULL},
		{"", "meta-data/hostname", NULL},
		{"", "meta-data/network/interfaces/macs/" M1 "/mac", NULL},
		{"", "meta-data/spot", NULL},
		{"", "meta-data/spot/instance-action", NULL},
		{"", "user-data", NULL},
		{"", "meta-data/public-keys", NULL},
		{"", "dynamic/instance-identity/pkcs7", NULL},
		/* Opened. */
		{ALL, "", "dynamic\nmeta-data\nuser-data"},
		{ALL, "user-data", "HOSTUSERDATA"},
		{ALL, "dynamic/instance-identity", "document\npkcs7"},
		{ALL, "meta-data/public-keys", "0=host-key"},
		{ALL, "meta-data/public-keys/0", "openssh-key"},
		{ALL, "meta-data/public-keys/0/openssh-key", "HOSTPUBLICKEY"},
		{ALL, "meta-data/public-keys/1/openssh-key", NULL},
		{ALL, "meta-data/spot", "instance-action"},
		{ALL, "meta-data/local-ipv4", "10.1.2.3"},
		{ALL, "meta-data/network/interfaces/macs", M1 "/"},
		{ALL, "meta-data/network/interfaces/macs/" M1, "ipv4-associations/\nmac"},
		{ALL, "meta-data/network/interfaces/macs/" M1 "/ipv4-associations/203.0.113.1",
		 "10.1.2.3"},
		{ALL, "meta-data/network/interfaces/macs/" M1 "/ipv4-associations/203.0.113.2",
		 NULL},
		{ALL, "meta-data/network/interfaces/macs/0e:00:00:00:00:00/mac", NULL},
		{ALL, "meta-data/public-ipv4", NULL},
		/* Of its own. */
		{OWN_MAC, "meta-data/local-ipv4", "10.0.0.7"},
		{OWN_MAC, "meta-data/network/interfaces/macs", "02:00:0a:00:00:07/"},
		{OWN_MAC, "meta-data/network/interfaces/macs/02:00:0a:00:00:07",
		 "device-number\nlocal-ipv4s\nmac\nowner-id"},
		{OWN_MAC, "meta-data/tags/instance", "a\nb"},
		{OWN_MAC "," ALL, "meta-data/network/interfaces/macs", "02:00:0a:00:00:07/"},
		{OWN_MAC "," ALL, "meta-data/network/interfaces/macs/" M1 "/mac", NULL},
		{OWN_MAC "," ALL, "meta-data/local-ipv4", "10.0.0.7"},
		{"\"metadata\":{\"block-device-mapping/x\":\"sdx\"}",
		 "meta-data/block-device-mapping", "x"},
		{"\"metadata\":{\"block-device-mapping/x\":\"sdx\"}",
		 "meta-data/block-device-mapping/root", NULL},
		/* A region of its own: the host's zone only if it lies in it. */
		{"\"metadata\":{\"region\":\"us-east-1\"}", "meta-data/placement",
		 "availability-zone\navailability-zone-id\nregion"},
		{"\"metadata\":{\"region\":\"eu-west-1\"}", "meta-data/placement", "region"},
		{"\"metadata\":{\"region\":\"eu-west-1\"}", "meta-data/placement/availability-zone",
		 NULL},
		{"\"metadata\":{\"availability-zone\":\"us-east-1b\"}", "meta-data/placement",
		 "availability-zone\nregion"},
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		_cleanup_buf_ struct buf out = {0};
		struct bed bed;
		open_bed(&bed, rows[i].members);
		const char *answer = ask(&bed, rows[i].path, &out);
		if (!answer != !rows[i].answer || (answer && strcmp(answer, rows[i].answer) != 0))
			fail_msg("%s: \"%s\" answers \"%s\"", rows[i].members, rows[i].path,
				 answer ? answer : "(nothing)");
		/* What is not served is not asked for. */
		if (bed.asked.data &&
		    (strstr(bed.asked.data, "/iam") || strstr(bed.asked.data, "..")))
			fail_msg("%s: asked for %s", rows[i].path, bed.asked.data);
		close_bed(&bed);
	}
}

static void test_nothing_is_asked_for_what_is_shut(void **state)
{
	static const char *const paths[] = {
		"user-data",
		"meta-data/public-keys/0/openssh-key",
		"meta-data/public-keys",
		"meta-data/network",
		"meta-data/network/interfaces/macs/x/mac",
		"meta-data/local-ipv4",
		"meta-data/spot/termination-time",
		"dynamic/instance-identity/signature",
		"meta-data/managed-ssh-keys/active-keys/x",
		"meta-data/tags/instance/Name",
	};
	_cleanup_buf_ struct buf out = {0};
	struct bed bed;

	(void)state;
	open_bed(&bed, "");
	for (size_t i = 0; i < N(paths); i++)
		assert_null(ask(&bed, paths[i], &out));
	assert_null(bed.asked.data);
	close_bed(&bed);
}

static void test_host_allow(void **state)
{
	_cleanup_buf_ struct buf out = {0};
	struct diag diag;
	struct bed bed;

	(void)state;
	open_bed(&bed, "");
	assert_int_equal(metadata_allow_parse("meta-data/spot", &bed.host_allow, &diag), 0);
	assert_string_equal(ask(&bed, "meta-data/spot/instance-action", &out), "{}");
	bed.host_allow = (struct metadata_allow){0};
	assert_null(ask(&bed, "meta-data/spot/instance-action", &out));
	close_bed(&bed);
}

static enum metadata_answer look(struct bed *bed, const char *path)
{
	struct metadata_text text;

	return metadata_view_look(&bed->view, path, &text);
}

/* Answer the one item that is queued. */
static void finish(struct bed *bed, enum metadata_result result, const char *value)
{
	struct metadata_item *item = metadata_cache_next(&bed->cache);

	assert_non_null(item);
	assert_null(metadata_cache_next(&bed->cache));
	metadata_cache_finished(&bed->cache, item, result, value, value ? strlen(value) : 0, 0,
				bed->view.now_ms);
}

static void test_one_request_for_many(void **state)
{
	struct bed bed;

	(void)state;
	open_bed(&bed, "");
	for (int i = 0; i < 100; i++)
		assert_int_equal(look(&bed, "meta-data/ami-id"), METADATA_WAIT);
	finish(&bed, METADATA_GOT, "ami-1");
	assert_int_equal(look(&bed, "meta-data/ami-id"), METADATA_FOUND);
	assert_null(metadata_cache_next(&bed.cache));
	close_bed(&bed);
}

static void test_stale_is_served_while_it_is_asked_again(void **state)
{
	struct bed bed;

	(void)state;
	open_bed(&bed, "");
	assert_int_equal(look(&bed, "meta-data/ami-id"), METADATA_WAIT);
	finish(&bed, METADATA_GOT, "ami-1");
	bed.view.now_ms += 2 * 3600 * 1000;
	assert_int_equal(look(&bed, "meta-data/ami-id"), METADATA_FOUND);
	finish(&bed, METADATA_NO_REPLY, NULL);
	/* The host is down: the old value goes on, and it is not asked at once again. */
	assert_int_equal(look(&bed, "meta-data/ami-id"), METADATA_FOUND);
	assert_null(metadata_cache_next(&bed.cache));
	bed.view.now_ms += 1001;
	assert_int_equal(look(&bed, "meta-data/ami-id"), METADATA_FOUND);
	finish(&bed, METADATA_NOTHING, NULL);
	assert_int_equal(look(&bed, "meta-data/ami-id"), METADATA_NOT_FOUND);
	close_bed(&bed);
}

static void test_announcements_are_never_stale(void **state)
{
	struct diag diag;
	struct bed bed;

	(void)state;
	open_bed(&bed, "");
	assert_int_equal(metadata_allow_parse("meta-data/spot", &bed.host_allow, &diag), 0);
	assert_int_equal(look(&bed, "meta-data/spot/instance-action"), METADATA_WAIT);
	finish(&bed, METADATA_GOT, "{}");
	bed.view.now_ms += 1000;
	assert_int_equal(look(&bed, "meta-data/spot/instance-action"), METADATA_FOUND);
	bed.view.now_ms += 1001;
	assert_int_equal(look(&bed, "meta-data/spot/instance-action"), METADATA_WAIT);
	finish(&bed, METADATA_NO_REPLY, NULL);
	assert_int_equal(look(&bed, "meta-data/spot/instance-action"), METADATA_FAILED);
	close_bed(&bed);
}

static void test_a_host_that_is_down_is_not_waited_for(void **state)
{
	struct bed bed;

	(void)state;
	open_bed(&bed, "");
	assert_int_equal(look(&bed, "meta-data/ami-id"), METADATA_WAIT);
	bed.view.final = true;
	assert_int_equal(look(&bed, "meta-data/ami-id"), METADATA_FAILED);
	bed.view.final = false;
	/* One path without a reply may be that path's fault: others are asked for. */
	finish(&bed, METADATA_NO_REPLY, NULL);
	assert_int_equal(look(&bed, "meta-data/ami-id"), METADATA_FAILED);
	assert_int_equal(look(&bed, "meta-data/profile"), METADATA_WAIT);
	finish(&bed, METADATA_NO_REPLY, NULL);
	assert_false(metadata_cache_outage(&bed.cache));
	assert_int_equal(look(&bed, "meta-data/reservation-id"), METADATA_WAIT);
	struct metadata_item *item = metadata_cache_next(&bed.cache);
	metadata_cache_prefetch(&bed.cache, "/latest/meta-data/system", METADATA_FIXED);
	metadata_cache_finished(&bed.cache, item, METADATA_NO_REPLY, NULL, 0, 0, bed.view.now_ms);
	assert_true(metadata_cache_outage(&bed.cache));
	/* Nor for any other path, and what was queued is not tried in vain. */
	assert_null(metadata_cache_next(&bed.cache));
	assert_int_equal(look(&bed, "meta-data/instance-id"), METADATA_FAILED);
	bed.view.now_ms += 1001;
	assert_int_equal(look(&bed, "meta-data/instance-id"), METADATA_WAIT);
	finish(&bed, METADATA_GOT, "i-1");
	assert_int_equal(look(&bed, "meta-data/instance-id"), METADATA_FOUND);
	close_bed(&bed);
}

static void test_refusals_back_off(void **state)
{
	struct bed bed;
	int64_t wait_ms = 1000;

	(void)state;
	open_bed(&bed, "");
	for (int i = 0; i < 8; i++) {
		assert_int_equal(look(&bed, "meta-data/ami-id"), METADATA_WAIT);
		finish(&bed, METADATA_REFUSED, NULL);
		assert_int_equal(look(&bed, "meta-data/ami-id"), METADATA_FAILED);
		/* That path alone. */
		assert_int_equal(look(&bed, "meta-data/kernel-id"),
				 i == 0 ? METADATA_WAIT : METADATA_NOT_FOUND);
		serve(&bed);
		bed.view.now_ms += wait_ms - 1;
		assert_int_equal(look(&bed, "meta-data/ami-id"), METADATA_FAILED);
		bed.view.now_ms += 1;
		wait_ms = wait_ms * 2 > 30000 ? 30000 : wait_ms * 2;
	}
	close_bed(&bed);
}

static void test_bounds(void **state)
{
	static char big[METADATA_VALUE_MAX + 1];
	struct metadata_item *item;
	struct metadata_cache cache;
	char path[64];

	(void)state;
	memset(big, 'x', sizeof(big));
	metadata_cache_init(&cache);
	for (int i = 0; i < 3 * METADATA_ITEMS_MAX; i++) {
		snprintf(path, sizeof(path), "/latest/%d", i);
		assert_int_equal(metadata_cache_look(&cache, path, METADATA_FIXED, 0, &item),
				 METADATA_PENDING);
		assert_ptr_equal(metadata_cache_next(&cache), item);
		metadata_cache_finished(&cache, item, METADATA_GOT, big, METADATA_VALUE_MAX, 0, 0);
		assert_true(cache.n_items <= METADATA_ITEMS_MAX);
		assert_true(cache.n_bytes <= METADATA_BYTES_MAX);
		assert_int_equal(metadata_cache_look(&cache, path, METADATA_FIXED, 0, &item),
				 METADATA_PRESENT);
	}
	/* Too large is refused, and what is being asked for is never dropped. */
	assert_int_equal(metadata_cache_look(&cache, "/big", METADATA_FIXED, 0, &item),
			 METADATA_PENDING);
	assert_ptr_equal(metadata_cache_next(&cache), item);
	metadata_cache_finished(&cache, item, METADATA_GOT, big, sizeof(big), 0, 0);
	assert_int_equal(metadata_cache_look(&cache, "/big", METADATA_FIXED, 0, &item),
			 METADATA_UNAVAILABLE);
	metadata_cache_deinit(&cache);

	metadata_cache_init(&cache);
	for (int i = 0; i < METADATA_ITEMS_MAX + 10; i++) {
		snprintf(path, sizeof(path), "/latest/%d", i);
		assert_int_equal(metadata_cache_look(&cache, path, METADATA_FIXED, 0, &item),
				 i < METADATA_ITEMS_MAX ? METADATA_PENDING : METADATA_UNAVAILABLE);
	}
	metadata_cache_deinit(&cache);
}

static void test_document(void **state)
{
	_cleanup_buf_ struct buf out = {0};
	struct bed bed;

	(void)state;
	open_bed(&bed, OWN_MAC);
	while (identity_document_print(&bed.view, "arm64", 0, &out) == METADATA_WAIT) {
		assert_int_not_equal(serve(&bed), 0);
		buf_reset(&out);
	}
	assert_string_equal(out.data, "{\n"
				      "  \"accountId\" : \"123456789012\",\n"
				      "  \"architecture\" : \"arm64\",\n"
				      "  \"availabilityZone\" : \"us-east-1a\",\n"
				      "  \"billingProducts\" : null,\n"
				      "  \"devpayProductCodes\" : null,\n"
				      "  \"marketplaceProductCodes\" : null,\n"
				      "  \"imageId\" : \"ami-1\",\n"
				      "  \"instanceId\" : \"i-1\",\n"
				      "  \"instanceType\" : null,\n"
				      "  \"kernelId\" : null,\n"
				      "  \"pendingTime\" : \"1970-01-01T00:00:00Z\",\n"
				      "  \"privateIp\" : \"10.0.0.7\",\n"
				      "  \"ramdiskId\" : null,\n"
				      "  \"region\" : \"us-east-1\",\n"
				      "  \"version\" : \"2017-09-30\"\n"
				      "}");
	close_bed(&bed);

	/* Half a document is none. */
	open_bed(&bed, "");
	bed.view.final = true;
	buf_reset(&out);
	assert_int_equal(identity_document_print(&bed.view, "arm64", 0, &out), METADATA_FAILED);
	close_bed(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_nothing_is_asked_for_what_is_shut),
		cmocka_unit_test(test_host_allow),
		cmocka_unit_test(test_one_request_for_many),
		cmocka_unit_test(test_stale_is_served_while_it_is_asked_again),
		cmocka_unit_test(test_announcements_are_never_stale),
		cmocka_unit_test(test_a_host_that_is_down_is_not_waited_for),
		cmocka_unit_test(test_refusals_back_off),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_document),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
