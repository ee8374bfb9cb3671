/* image_record, simple_signing: what engines have written down of images, and what has been signed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire/image_record.h"
#include "wire/simple_signing.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void check_text(const char *what, const char *found, const char *expected)
{
	if (!found || !expected ? found != expected : strcmp(found, expected) != 0)
		fail_msg("%s: %s instead of %s", what, found ? found : "none",
			 expected ? expected : "none");
}

static void test_docker_refs(void **state)
{
	static const struct {
		const char *given, *ref, *digest;
	} cases[] = {
		{"busybox", "docker.io/library/busybox:latest", NULL},
		{"busybox:1", "docker.io/library/busybox:1", NULL},
		{"team/web", "docker.io/team/web:latest", NULL},
		{"registry.example.com/web:1", "registry.example.com/web:1", NULL},
		{"localhost/web", "localhost/web:latest", NULL},
		{"host:5000/web", "host:5000/web:latest", NULL},
		{"host:5000/a/b@sha256:12", "host:5000/a/b@sha256:12", "sha256:12"},
		{"sha256:0123", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_image_record_ struct image_record record = {0};
		char text[256];
		snprintf(text, sizeof(text),
			 "{\"Config\":{\"Image\":\"%s\"},\"Image\":\"sha256:ab\","
			 "\"X\":18446744073709551615}",
			 cases[i].given);
		assert_int_equal(image_record_docker(text, strlen(text), &record), 0);
		check_text(cases[i].given, record.ref, cases[i].ref);
		check_text(cases[i].given, record.digest, cases[i].digest);
		assert_string_equal(record.id, "sha256:ab");
	}
}

static void test_docker_digests(void **state)
{
	static const char repositories[] =
		"{\"Repositories\":{"
		"\"busybox\":{\"busybox:1\":\"sha256:ab\",\"busybox@sha256:11\":\"sha256:other\","
		"\"busybox@sha256:22\":\"sha256:ab\"},"
		"\"host:5000/web\":{\"host:5000/web@sha256:33\":\"sha256:ab\"}}}";
	static const struct {
		const char *ref, *digest;
		int r;
	} cases[] = {
		{"busybox:1", "sha256:22", 0},
		{"host:5000/web:2", "sha256:33", 0},
		{"host:5000/other:2", NULL, -ENOENT},
		{"host:5000/we", NULL, -ENOENT},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_image_record_ struct image_record record = {0};
		char text[256];
		snprintf(text, sizeof(text),
			 "{\"Config\":{\"Image\":\"%s\"},\"Image\":\"sha256:ab\"}", cases[i].ref);
		assert_int_equal(image_record_docker(text, strlen(text), &record), 0);
		assert_int_equal(
			image_record_docker_digest(repositories, strlen(repositories), &record),
			cases[i].r);
		check_text(cases[i].ref, record.digest, cases[i].digest);
	}
}

static void test_storage(void **state)
{
	static const char containers[] =
		"[{\"id\":\"c0\",\"image\":\"i0\"},"
		"{\"id\":\"c1\",\"image\":\"i1\",\"metadata\":"
		"\"{\\\"image-name\\\":\\\"registry.example.com/web:1\\\"}\"},"
		"{\"id\":\"c2\",\"metadata\":\"x\"},{\"id\":\"c3\",\"image\":\"i1\","
		"\"metadata\":\"[\"}]";
	static const char images[] = "[{\"id\":\"i1\",\"digest\":\"sha256:dd\"},{\"id\":\"i0\"}]";
	static const struct {
		const char *id;
		int r;
		const char *ref, *digest;
	} cases[] = {
		{"c1", 0, "registry.example.com/web:1", "sha256:dd"},
		{"c0", 0, NULL, NULL},
		{"c3", 0, NULL, "sha256:dd"},
		{"c2", 0, NULL, NULL},
		{"none", -ENOENT, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_image_record_ struct image_record record = {0};
		int r = image_record_storage(containers, strlen(containers), cases[i].id, &record);
		assert_int_equal(r, cases[i].r);
		if (r < 0)
			continue;
		(void)image_record_storage_digest(images, strlen(images), &record);
		check_text(cases[i].id, record.ref, cases[i].ref);
		check_text(cases[i].id, record.digest, cases[i].digest);
	}
}

static void test_hostile_records(void **state)
{
	static const char *const texts[] = {"",
					    "[",
					    "{}",
					    "[]",
					    "1",
					    "[1,{}]",
					    "{\"Image\":1}",
					    "{\"Config\":[],\"Image\":\"\"}",
					    "{\"Repositories\":{\"a\":[1]}}"};

	(void)state;
	for (size_t i = 0; i < N(texts); i++) {
		struct image_record record = {0};
		if (image_record_docker(texts[i], strlen(texts[i]), &record) == 0 ||
		    image_record_storage(texts[i], strlen(texts[i]), "c", &record) == 0)
			fail_msg("%s was taken", texts[i]);
	}
}

static void test_manifests(void **state)
{
	static const struct {
		const char *text, *key; /* NULL: -EINVAL; "": it has none of "k" */
	} cases[] = {
		{"{\"annotations\":{\"k\":\"v\"}}", "k"},
		/* As Go's JSON reads it. */
		{"{\"Annotations\":{\"k\":\"v\"},\"annotations\":{}}", "k"},
		{"{\"annotation\u017f\":{\"k\":\"v\"}}", "k"},
		{"{\"annotations\":{\"k\":\"v\"},\"annotations\":{}}", NULL},
		{"{\"annotations\":{\"k\":\"v\",\"x\":\"\xff\"}}", NULL},
		{"{\"annotations\":{\"k\":\"v\",\"x\":\"\\ud800\"}}", NULL},
		{"{\"annotations\":{\"k\":1,\"l\":\"v\"}}", ""},
		{"{\"annotations\":[]}", ""},
		{"[]", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		_cleanup_image_record_ struct image_record record = {0};
		bool found = false;
		int r = image_record_manifest(cases[i].text, strlen(cases[i].text), &record);
		for (size_t k = 0; k < record.n_annotations; k++)
			found = found || (strcmp(record.annotations[k].key, "k") == 0 &&
					  strcmp(record.annotations[k].value, "v") == 0);
		if (r != (cases[i].key ? 0 : -EINVAL) ||
		    (cases[i].key && found != (cases[i].key[0] != '\0')))
			fail_msg("%s: %d", cases[i].text, r);
	}
}

#define PAYLOAD(type, digest, ref)                                                                 \
	"{\"critical\":{\"identity\":{\"docker-reference\":\"" ref                                 \
	"\"},\"image\":{\"docker-manifest-digest\":\"" digest "\"},\"type\":\"" type               \
	"\"},\"optional\":{}}"
#define COSIGN "cosign container image signature"

static void test_signing(void **state)
{
	static const struct {
		const char *payload, *ref;
		int r;
	} cases[] = {
		{PAYLOAD(COSIGN, "sha256:d", "r.io/web"), "r.io/web:1", 0},
		{PAYLOAD(COSIGN, "sha256:d", "r.io/web"), "r.io/web@sha256:d", 0},
		{PAYLOAD(COSIGN, "sha256:d", "r.io/web:1"), "r.io/web:1", 0},
		{PAYLOAD("atomic container signature", "sha256:d", "r.io/web:1"), "r.io/web:1", 0},
		{PAYLOAD(COSIGN, "sha256:d", "r.io/web:1"), "r.io/web:2", -EACCES},
		{PAYLOAD(COSIGN, "sha256:d", "r.io/web"), "r.io/web2:1", -EACCES},
		{PAYLOAD(COSIGN, "sha256:d", "r.io"), "r.io/web:1", -EACCES},
		{PAYLOAD(COSIGN, "sha256:d", "r.io"), "r.io:5000/web:1", -EACCES},
		{PAYLOAD(COSIGN, "sha256:e", "r.io/web"), "r.io/web:1", -EACCES},
		{PAYLOAD("other", "sha256:d", "r.io/web"), "r.io/web:1", -EINVAL},
		{"{}", "r.io/web:1", -EINVAL},
		{"", "r.io/web:1", -EINVAL},
		{"{\"critical\":{}}", "r.io/web:1", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct diag diag = {0};
		int r = simple_signing_check(cases[i].payload, strlen(cases[i].payload), "sha256:d",
					     cases[i].ref, &diag);
		if (r != cases[i].r || (r < 0 && !diag.text[0]))
			fail_msg("case %zu: %d: %s", i, r, diag.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_docker_refs), cmocka_unit_test(test_docker_digests),
		cmocka_unit_test(test_storage),	    cmocka_unit_test(test_hostile_records),
		cmocka_unit_test(test_signing),	    cmocka_unit_test(test_manifests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
