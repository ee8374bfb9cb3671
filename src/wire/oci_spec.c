#include "wire/oci_spec.h"

#include <string.h>

#include <jansson.h>

/* Flags of clone(2) that make namespaces; the value is their union. */
#define CLONE_NEW_MASK 0x7e020000
#define CPU_PERIOD_US 100000

struct oci_spec {
	json_t *root;
	bool failed;
};

static const char *const namespaces[] = {"pid", "ipc", "uts", "mount", "cgroup"};

static const char *const masked_paths[] = {
	"/proc/acpi",	     "/proc/asound",  "/proc/interrupts",
	"/proc/kcore",	     "/proc/keys",    "/proc/latency_stats",
	"/proc/sched_debug", "/proc/scsi",    "/proc/timer_list",
	"/proc/timer_stats", "/sys/firmware", "/sys/devices/virtual/powercap",
};
static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static const struct {
	const char *source, *destination, *type, *options;
} own_mounts[] = {
	{"proc", "/proc", "proc", "nosuid,noexec,nodev"},
	{"tmpfs", "/dev", "tmpfs", "nosuid,noexec,strictatime,mode=755,size=65536k"},
	{"devpts", "/dev/pts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"},
	{"shm", "/dev/shm", "tmpfs", "nosuid,noexec,nodev,mode=1777,size=65536k"},
	{"mqueue", "/dev/mqueue", "mqueue", "nosuid,noexec,nodev"},
};

/* The families that a socket may be of: unix, IPv4, IPv6, netlink (to which most requests need a
 * capability). */
static const int socket_families[] = {1, 2, 10, 16};

static json_t *check(struct oci_spec *spec, json_t *value)
{
	spec->failed = spec->failed || !value;
	return value;
}

static void set(struct oci_spec *spec, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		spec->failed = true;
}

static void append(struct oci_spec *spec, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		spec->failed = true;
}

static json_t *process_of(const struct oci_spec *spec)
{
	return json_object_get(spec->root, "process");
}

static json_t *linux_of(const struct oci_spec *spec)
{
	return json_object_get(spec->root, "linux");
}

static json_t *strings(struct oci_spec *spec, const char *const *list, size_t n)
{
	json_t *array = check(spec, json_array());

	for (size_t i = 0; i < n; i++)
		append(spec, array, json_string(list[i]));
	return array;
}

/* The items between any of `separators`. */
static json_t *split(struct oci_spec *spec, const char *text, const char *separators)
{
	json_t *array = check(spec, json_array());

	while (*text) {
		size_t len = strcspn(text, separators);
		if (len > 0)
			append(spec, array, json_stringn(text, len));
		text += len + (text[len] != '\0');
	}
	return array;
}

static void add_rule(struct oci_spec *spec, json_t *rules, const char *name, const char *action,
		     json_t *args)
{
	json_t *rule = json_pack("{s:[s], s:s}", "names", name, "action", action);

	if (args)
		set(spec, rule, "args", json_pack("[o]", args));
	append(spec, rules, rule);
}

static json_t *argument(int index, json_int_t value, const char *op, json_int_t other)
{
	return json_pack("{s:i, s:I, s:s, s:I}", "index", index, "value", value, "op", op,
			 "valueTwo", other);
}

static json_t *seccomp(struct oci_spec *spec, const char *syscalls)
{
	json_t *rules = check(spec, json_array());

	append(spec, rules,
	       json_pack("{s:o, s:s}", "names", split(spec, syscalls, " \n\t"), "action",
			 "SCMP_ACT_ALLOW"));
	/* No new namespaces; clone3's flags cannot be looked at, so libc is to do without. */
	add_rule(spec, rules, "clone", "SCMP_ACT_ALLOW",
		 argument(0, CLONE_NEW_MASK, "SCMP_CMP_MASKED_EQ", 0));
	append(spec, rules,
	       json_pack("{s:[s], s:s, s:i}", "names", "clone3", "action", "SCMP_ACT_ERRNO",
			 "errnoRet", ENOSYS));
	for (size_t i = 0; i < sizeof(socket_families) / sizeof(socket_families[0]); i++)
		add_rule(spec, rules, "socket", "SCMP_ACT_ALLOW",
			 argument(0, socket_families[i], "SCMP_CMP_EQ", 0));
	add_rule(spec, rules, "personality", "SCMP_ACT_ALLOW", argument(0, 0, "SCMP_CMP_EQ", 0));
	add_rule(spec, rules, "personality", "SCMP_ACT_ALLOW",
		 argument(0, 0xffffffff, "SCMP_CMP_EQ", 0));
	return json_pack("{s:s, s:i, s:o}", "defaultAction", "SCMP_ACT_ERRNO", "defaultErrnoRet",
			 EPERM, "syscalls", rules);
}

struct oci_spec *oci_spec_new(const char *syscalls)
{
	struct oci_spec *spec = calloc(1, sizeof(*spec));

	if (!spec)
		return NULL;
	json_t *list = check(spec, json_array());
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		append(spec, list, json_pack("{s:s}", "type", namespaces[i]));
	spec->root = check(
		spec,
		json_pack(
			"{s:s, s:{s:{s:i, s:i}, s:[], s:[s], s:s, s:b, s:b, s:{s:[], s:[], s:[]}, "
			"s:[]}, s:{s:b}, s:[], s:{s:o, s:o, s:o, s:o, s:{s:[{s:b, s:s}]}}}",
			"ociVersion", "1.0.2", "process", "user", "uid", 0, "gid", 0, "args", "env",
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "cwd",
			"/", "terminal", 0, "noNewPrivileges", 1, "capabilities", "bounding",
			"effective", "permitted", "rlimits", "root", "readonly", 0, "mounts",
			"linux", "namespaces", list, "maskedPaths",
			strings(spec, masked_paths, sizeof(masked_paths) / sizeof(char *)),
			"readonlyPaths",
			strings(spec, readonly_paths, sizeof(readonly_paths) / sizeof(char *)),
			"seccomp", seccomp(spec, syscalls), "resources", "devices", "allow", 0,
			"access", "rwm"));
	for (size_t i = 0; i < sizeof(own_mounts) / sizeof(own_mounts[0]); i++)
		oci_spec_add_mount(spec, own_mounts[i].source, own_mounts[i].destination,
				   own_mounts[i].type, own_mounts[i].options);
	oci_spec_set_rlimit(spec, "RLIMIT_NOFILE", 1024, 4096);
	oci_spec_set_rlimit(spec, "RLIMIT_CORE", 0, 0);
	return spec->root ? spec : oci_spec_free(spec);
}

struct oci_spec *oci_spec_free(struct oci_spec *spec)
{
	if (spec)
		json_decref(spec->root);
	free(spec);
	return NULL;
}

void oci_spec_set_args(struct oci_spec *spec, char *const *args, size_t n)
{
	set(spec, process_of(spec), "args", strings(spec, (const char *const *)args, n));
}

bool oci_spec_has_args(const struct oci_spec *spec)
{
	return json_array_size(json_object_get(process_of(spec), "args")) > 0;
}

void oci_spec_add_env(struct oci_spec *spec, const char *variable)
{
	json_t *env = json_object_get(process_of(spec), "env"), *old;
	size_t len = strcspn(variable, "="), i;

	json_array_foreach (env, i, old) {
		if (strncmp(json_string_value(old), variable, len) == 0 &&
		    json_string_value(old)[len] == '=') {
			json_array_remove(env, i);
			break;
		}
	}
	append(spec, env, json_string(variable));
}

void oci_spec_set_cwd(struct oci_spec *spec, const char *cwd)
{
	set(spec, process_of(spec), "cwd", json_string(cwd));
}

void oci_spec_set_user(struct oci_spec *spec, uint32_t uid, uint32_t gid)
{
	set(spec, process_of(spec), "user",
	    json_pack("{s:I, s:I}", "uid", (json_int_t)uid, "gid", (json_int_t)gid));
}

void oci_spec_set_terminal(struct oci_spec *spec, bool terminal)
{
	set(spec, process_of(spec), "terminal", json_boolean(terminal));
}

void oci_spec_set_hostname(struct oci_spec *spec, const char *name)
{
	set(spec, spec->root, "hostname", json_string(name));
}

void oci_spec_add_capability(struct oci_spec *spec, const char *name)
{
	const char *set_name;
	json_t *list;

	json_object_foreach (json_object_get(process_of(spec), "capabilities"), set_name, list)
		append(spec, list, json_string(name));
}

void oci_spec_set_rlimit(struct oci_spec *spec, const char *type, int64_t soft, int64_t hard)
{
	json_t *list = json_object_get(process_of(spec), "rlimits"), *old;
	size_t i;

	json_array_foreach (list, i, old) {
		if (strcmp(json_string_value(json_object_get(old, "type")), type) == 0) {
			json_array_remove(list, i);
			break;
		}
	}
	append(spec, list,
	       json_pack("{s:s, s:I, s:I}", "type", type, "soft", (json_int_t)soft, "hard",
			 (json_int_t)hard));
}

void oci_spec_set_root(struct oci_spec *spec, const char *path)
{
	set(spec, json_object_get(spec->root, "root"), "path", json_string(path));
}

void oci_spec_set_read_only(struct oci_spec *spec)
{
	set(spec, json_object_get(spec->root, "root"), "readonly", json_true());
}

bool oci_spec_is_read_only(const struct oci_spec *spec)
{
	return json_is_true(json_object_get(json_object_get(spec->root, "root"), "readonly"));
}

void oci_spec_add_mount(struct oci_spec *spec, const char *source, const char *destination,
			const char *type, const char *options)
{
	json_t *mounts = json_object_get(spec->root, "mounts"), *old;
	size_t i;

	json_array_foreach (mounts, i, old) {
		if (strcmp(json_string_value(json_object_get(old, "destination")), destination) ==
		    0) {
			json_array_remove(mounts, i);
			break;
		}
	}
	append(spec, mounts,
	       json_pack("{s:s, s:s, s:s, s:o}", "destination", destination, "type", type, "source",
			 source, "options", split(spec, options, ",")));
}

void oci_spec_set_limits(struct oci_spec *spec, int64_t memory, int64_t pids, int64_t cpu_percent)
{
	json_t *resources = json_object_get(linux_of(spec), "resources");

	if (memory > 0)
		set(spec, resources, "memory", json_pack("{s:I}", "limit", (json_int_t)memory));
	if (pids > 0)
		set(spec, resources, "pids", json_pack("{s:I}", "limit", (json_int_t)pids));
	if (cpu_percent > 0)
		set(spec, resources, "cpu",
		    json_pack("{s:I, s:i}", "quota",
			      (json_int_t)cpu_percent * (CPU_PERIOD_US / 100), "period",
			      CPU_PERIOD_US));
}

void oci_spec_set_netns(struct oci_spec *spec, const char *path)
{
	append(spec, json_object_get(linux_of(spec), "namespaces"),
	       json_pack("{s:s, s:s}", "type", "network", "path", path));
}

void oci_spec_set_user_namespace(struct oci_spec *spec, uint32_t base, uint32_t size)
{
	static const char *const kinds[] = {"uidMappings", "gidMappings"};

	append(spec, json_object_get(linux_of(spec), "namespaces"),
	       json_pack("{s:s}", "type", "user"));
	for (size_t i = 0; i < 2; i++)
		set(spec, linux_of(spec), kinds[i],
		    json_pack("[{s:i, s:I, s:I}]", "containerID", 0, "hostID", (json_int_t)base,
			      "size", (json_int_t)size));
}

void oci_spec_set_cgroup(struct oci_spec *spec, const char *path)
{
	set(spec, linux_of(spec), "cgroupsPath", json_string(path));
}

void oci_spec_set_apparmor(struct oci_spec *spec, const char *profile)
{
	set(spec, process_of(spec), "apparmorProfile", json_string(profile));
}

void oci_spec_set_selinux(struct oci_spec *spec, const char *label)
{
	set(spec, process_of(spec), "selinuxLabel", json_string(label));
	set(spec, linux_of(spec), "mountLabel", json_string(label));
}

int oci_spec_print(const struct oci_spec *spec, struct buf *out)
{
	char *text = spec->failed ? NULL : json_dumps(spec->root, JSON_INDENT(2));

	if (!text)
		return -ENOMEM;
	buf_printf(out, "%s\n", text);
	free(text);
	return buf_ok(out) ? 0 : -ENOMEM;
}

/* Reading a bundle. */

static int wrong(struct diag *diag, const char *what)
{
	return diag_fail(EINVAL, diag, what, "config.json: %s is not as the OCI says", what);
}

static bool all_strings(json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item)
		if (!json_is_string(item))
			return false;
	return true;
}

static int take_process(struct oci_spec *spec, json_t *process, struct diag *diag)
{
	json_t *args = json_object_get(process, "args"), *env = json_object_get(process, "env");
	const char *cwd = json_string_value(json_object_get(process, "cwd"));
	json_t *user = json_object_get(process, "user"), *item;
	json_int_t uid = json_integer_value(json_object_get(user, "uid"));
	json_int_t gid = json_integer_value(json_object_get(user, "gid"));
	size_t i;

	if (!json_is_array(args) || !all_strings(args))
		return wrong(diag, "process.args");
	if (!all_strings(env))
		return wrong(diag, "process.env");
	if (uid < 0 || uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX)
		return wrong(diag, "process.user");
	if (json_object_set(process_of(spec), "args", args) < 0)
		spec->failed = true;
	json_array_foreach (env, i, item)
		oci_spec_add_env(spec, json_string_value(item));
	if (cwd)
		oci_spec_set_cwd(spec, cwd);
	oci_spec_set_user(spec, (uint32_t)uid, (uint32_t)gid);
	oci_spec_set_terminal(spec, json_is_true(json_object_get(process, "terminal")));
	json_array_foreach (json_object_get(process, "rlimits"), i, item) {
		const char *type = json_string_value(json_object_get(item, "type"));
		json_int_t soft = json_integer_value(json_object_get(item, "soft"));
		json_int_t hard = json_integer_value(json_object_get(item, "hard"));
		if (!type || strncmp(type, "RLIMIT_", 7) != 0 || soft < 0 || hard < soft)
			return wrong(diag, "process.rlimits");
		oci_spec_set_rlimit(spec, type, soft, hard);
	}
	return 0;
}

static bool is_bind(const char *type, json_t *options)
{
	json_t *option;
	size_t i;

	json_array_foreach (options, i, option) {
		const char *text = json_string_value(option);
		if (text && (strcmp(text, "bind") == 0 || strcmp(text, "rbind") == 0))
			return true;
	}
	return type && strcmp(type, "bind") == 0;
}

/* "/proc" in other words is not to pass for something else. */
static bool is_plain(const char *path)
{
	if (path[0] != '/')
		return false;
	for (const char *at = path; at; at = strchr(at + 1, '/')) {
		size_t len = strcspn(at + 1, "/");
		if (at[1] == '/' || (len == 1 && at[1] == '.') ||
		    (len == 2 && at[1] == '.' && at[2] == '.'))
			return false;
	}
	return true;
}

/* Of a bundle's mounts those that hold files; /proc, /dev and /sys are ours to make. */
static bool is_wanted(const char *destination, const char *type, json_t *options)
{
	if (strcmp(destination, "/dev") == 0 || strncmp(destination, "/dev/", 5) == 0 ||
	    strcmp(destination, "/proc") == 0 || strncmp(destination, "/proc/", 6) == 0 ||
	    strcmp(destination, "/sys") == 0 || strncmp(destination, "/sys/", 5) == 0)
		return false;
	return is_bind(type, options) || (type && strcmp(type, "tmpfs") == 0);
}

/* Words that undo nosuid and nodev, here or in what is mounted below. */
static bool is_loosening(const char *option)
{
	static const char *const words[] = {"suid", "dev", "rsuid", "rdev"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], option) == 0)
			return true;
	return false;
}

static int take_mounts(struct oci_spec *spec, const char *directory, json_t *mounts,
		       struct diag *diag)
{
	json_t *mount;
	size_t i;

	json_array_foreach (mounts, i, mount) {
		const char *source = json_string_value(json_object_get(mount, "source"));
		const char *destination = json_string_value(json_object_get(mount, "destination"));
		const char *type = json_string_value(json_object_get(mount, "type"));
		json_t *options = json_object_get(mount, "options"), *option;
		_cleanup_buf_ struct buf text = {0};
		size_t k;
		if (!destination || !is_plain(destination) || !all_strings(options))
			return wrong(diag, "mounts");
		if (!is_wanted(destination, type, options))
			continue;
		buf_puts(&text, "nosuid,nodev");
		json_array_foreach (options, k, option) {
			const char *word = json_string_value(option);
			if (!is_loosening(word))
				buf_printf(&text, ",%s", word);
		}
		_cleanup_buf_ struct buf path = {0};
		/* It is relative to its bundle, which is not the one that will be run. */
		if (source && source[0] != '/' && is_bind(type, options))
			buf_printf(&path, "%s/", directory);
		buf_puts(&path, source ? source : "");
		if (!source || !buf_ok(&text) || !buf_ok(&path))
			return wrong(diag, "mounts");
		oci_spec_add_mount(spec, path.data, destination, type ? type : "bind", text.data);
	}
	return 0;
}

int oci_spec_take_bundle(struct oci_spec *spec, const char *directory, const char *text, size_t len,
			 struct diag *diag)
{
	json_error_t error;
	json_auto_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

	if (!json_is_object(root))
		return diag_fail(EINVAL, diag, NULL, "config.json is no JSON object%s%s",
				 root ? "" : ": ", root ? "" : error.text);
	const char *hostname = json_string_value(json_object_get(root, "hostname"));
	json_t *process = json_object_get(root, "process");

	int r = process ? take_process(spec, process, diag) : 0;
	if (r == 0)
		r = take_mounts(spec, directory, json_object_get(root, "mounts"), diag);
	if (r < 0)
		return r;
	if (hostname)
		oci_spec_set_hostname(spec, hostname);
	if (json_is_true(json_object_get(json_object_get(root, "root"), "readonly")))
		oci_spec_set_read_only(spec);
	return spec->failed ? diag_fail(ENOMEM, diag, NULL, "out of memory") : 0;
}
