#include "launch/identity.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "launch/image.h"
#include "util/buf.h"
#include "wire/aws_partition.h"
#include "wire/option_text.h"

#define PREFIX "rolegate.io/"
#define ENV_PREFIX "ROLEGATE_"

/* The fields of a registration that a container's own configuration may set. */
static const struct field {
	const char *name;
	bool is_list;	 /* of items, or KEY=VALUE pairs */
	bool by_env;	 /* may a variable set it, too? */
	const char *env; /* another variable for it, or NULL */
} fields[] = {
	{"session_name", false, true, NULL},	{"external_id", false, true, "IAM_EXTERNAL_ID"},
	{"duration_s", false, true, NULL},	{"session_tags", true, true, NULL},
	{"source_identity", false, true, NULL}, {"transitive_tag_keys", true, true, NULL},
	{"policy_arns", true, true, NULL},	{"session_policy", false, true, "IAM_POLICY"},
	{"tokens", false, true, NULL},		{"hop_limit", false, true, NULL},
	{"labels", true, false, NULL},		{"metadata", true, true, NULL},
	{"allow", true, false, NULL},		{"wait_s", false, true, NULL},
	{"intercept", false, true, NULL},
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static int no_memory(struct diag *diag)
{
	return diag_fail(ENOMEM, diag, NULL, "out of memory");
}

int identity_add(struct identity *identity, const char *name, const char *value, const char *source,
		 struct diag *diag)
{
	struct identity_field *grown = reallocarray(identity->fields, identity->n_fields + 1,
						    sizeof(struct identity_field));

	if (!grown)
		return no_memory(diag);
	identity->fields = grown;
	struct identity_field *field = &grown[identity->n_fields++];
	*field = (struct identity_field){
		.name = strdup(name),
		.value = strdup(value),
		.source = strdup(source),
	};
	return field->name && field->value && field->source ? 0 : no_memory(diag);
}

/* The partition of the account's own roles. */
static const char *own_partition(const struct config *config)
{
	if (config->aws.partition)
		return config->aws.partition;
	return config->aws.region ? aws_partition_of(config->aws.region) : "aws";
}

static bool is_account(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isdigit((unsigned char)text[i]))
			return false;
	return len == 12;
}

int identity_complete_arn(const char *role, const struct config *config, char **ret,
			  struct diag *diag)
{
	const char *at = strrchr(role, '@');
	const char *account = config->runtime.account;

	if (strncmp(role, "arn:", 4) == 0) {
		*ret = strdup(role);
		return *ret ? 0 : no_memory(diag);
	}
	/* '@' is also a character of role names */
	if (at && is_account(at + 1, strlen(at + 1)))
		account = at + 1;
	else
		at = NULL;
	if (!account)
		return diag_fail(EINVAL, diag, NULL,
				 "the role \"%.64s\" is no ARN, and [runtime] account does not say "
				 "which account it is in",
				 role);
	if (!is_account(account, strlen(account)))
		return diag_fail(EINVAL, diag, NULL, "[runtime] account \"%.64s\" is no account id",
				 account);
	while (*role == '/')
		role++;
	int len = at ? (int)(at - role) : (int)strlen(role);
	if (len <= 0)
		return diag_fail(EINVAL, diag, NULL, "the role has no name");
	if (asprintf(ret, "arn:%s:iam::%s:role/%.*s", own_partition(config), account, len, role) <
	    0)
		return no_memory(diag);
	return 0;
}

/* Where a value came from, for messages. */
struct found {
	const char *value; /* NULL: nowhere */
	char source[160];
};

static bool look(const char *value, const char *kind, const char *name, struct found *ret)
{
	if (!value || !value[0])
		return false;
	ret->value = value;
	snprintf(ret->source, sizeof(ret->source), "%s %.128s", kind, name);
	return true;
}

static bool look_annotation(const struct oci_config *oci, const char *name, struct found *ret)
{
	return look(oci_config_annotation(oci, name), "annotation", name, ret);
}

static bool look_env(const struct oci_config *oci, const char *name, struct found *ret)
{
	return look(oci_config_env(oci, name), "variable", name, ret);
}

/* The names in a list of the configuration, between spaces or commas. */
static int look_list(const struct oci_config *oci, const char *list,
		     bool (*how)(const struct oci_config *, const char *, struct found *),
		     struct found *ret)
{
	_cleanup_free_ char *copy = list ? strdup(list) : NULL;
	char *rest = copy, *name;

	if (list && !copy)
		return -ENOMEM;
	while (!ret->value && rest && (name = strsep(&rest, ", \t\n")))
		if (name[0])
			(void)how(oci, name, ret);
	return 0;
}

static int find_role(const struct oci_config *oci, const struct config *config, struct found *ret)
{
	if (look_annotation(oci, PREFIX "role", ret) ||
	    look_annotation(oci, PREFIX "role_arn", ret) ||
	    look_annotation(oci, "iam.amazonaws.com/role", ret))
		return 0;
	int r = look_list(oci, config->runtime.role_annotations, look_annotation, ret);
	if (r < 0 || ret->value || !config->runtime.trust_env)
		return r;
	if (look_env(oci, ENV_PREFIX "ROLE", ret) || look_env(oci, ENV_PREFIX "ROLE_ARN", ret) ||
	    look_env(oci, "IAM_ROLE", ret))
		return 0;
	return look_list(oci, config->runtime.role_env, look_env, ret);
}

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < N_FIELDS; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

/* A misspelt annotation must not pass for one that was not given. */
static int check_annotations(const struct oci_config *oci, struct diag *diag)
{
	for (size_t i = 0; i < oci->n_annotations; i++) {
		const char *key = oci->annotations[i].key;
		if (strncmp(key, PREFIX, strlen(PREFIX)) != 0)
			continue;
		const char *name = key + strlen(PREFIX);
		if (strcmp(name, "role") == 0 || strcmp(name, "role_arn") == 0 || find_field(name))
			continue;
		if (strncmp(name, "image", 5) == 0 || strcmp(name, "netns") == 0 ||
		    strcmp(name, "pid") == 0)
			return diag_fail(EINVAL, diag, NULL,
					 "annotation %.96s: only the engine says what that is",
					 key);
		return diag_fail(EINVAL, diag, NULL,
				 "annotation %.96s: there is no such field of a registration", key);
	}
	return 0;
}

/* ROLEGATE_ and the field's name in capitals. */
static void env_name(const char *field, char *ret, size_t size)
{
	snprintf(ret, size, ENV_PREFIX "%s", field);
	for (char *p = ret; *p; p++)
		*p = (char)toupper((unsigned char)*p);
}

struct add {
	struct identity *identity;
	const char *name, *source;
	struct diag *diag;
};

static int add_item(const char *item, void *user)
{
	const struct add *add = user;

	if (strcmp(add->name, "labels") == 0 &&
	    (strncmp(item, IMAGE_LABEL_PREFIX, strlen(IMAGE_LABEL_PREFIX)) == 0 ||
	     strncmp(item, PREFIX, strlen(PREFIX)) == 0))
		return diag_fail(EINVAL, add->diag, NULL,
				 "labels that begin with " IMAGE_LABEL_PREFIX " or " PREFIX
				 " are not for those to give who start a container");
	return identity_add(add->identity, add->name, item, add->source, add->diag);
}

static int take_field(const struct oci_config *oci, const struct config *config,
		      const struct field *field, struct identity *identity, struct diag *diag)
{
	struct found found = {0};
	char name[128];
	struct diag why = {0};

	snprintf(name, sizeof(name), PREFIX "%s", field->name);
	if (!look_annotation(oci, name, &found) && config->runtime.trust_env) {
		env_name(field->name, name, sizeof(name));
		if (!look_env(oci, name, &found) && field->env)
			(void)look_env(oci, field->env, &found);
		if (found.value && !field->by_env)
			return diag_fail(EINVAL, diag, NULL,
					 "%s: an image can set variables, so %s is taken from "
					 "annotations only (" PREFIX "%s)",
					 found.source, field->name, field->name);
	}
	if (!found.value)
		return 0;
	struct add add = {identity, field->name, found.source, &why};
	int r = field->is_list
			? option_text_split(found.value, add_item, &add, &why)
			: identity_add(identity, field->name, found.value, found.source, &why);
	return r < 0 ? diag_fail(-r, diag, NULL, "%s: %s", found.source, why.text) : 0;
}

int identity_read(const struct oci_config *oci, const char *id, const struct config *config,
		  struct identity **ret, struct diag *diag)
{
	_cleanup_identity_ struct identity *identity = calloc(1, sizeof(*identity));
	struct found role = {0};
	struct diag why = {0};

	if (!identity || find_role(oci, config, &role) < 0)
		return no_memory(diag);
	/* Without a role too: it may be the role that is misspelt. */
	int r = check_annotations(oci, diag);
	if (r < 0)
		return r;
	if (!role.value) {
		*ret = TAKE(identity);
		return 0;
	}
	r = identity_complete_arn(role.value, config, &identity->role_arn, &why);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "%s: %s", role.source, why.text);
	identity->role_source = strdup(role.source);
	if (!identity->role_source)
		return no_memory(diag);
	for (size_t i = 0; r == 0 && i < N_FIELDS; i++)
		r = take_field(oci, config, &fields[i], identity, diag);
	if (r == 0)
		r = image_describe(oci, id, identity, diag);
	if (r == 0)
		r = image_check_signature(config, identity, diag);
	if (r == 0)
		*ret = TAKE(identity);
	return r;
}

struct identity *identity_free(struct identity *identity)
{
	if (!identity)
		return NULL;
	for (size_t i = 0; i < identity->n_fields; i++) {
		free(identity->fields[i].name);
		free(identity->fields[i].value);
		free(identity->fields[i].source);
	}
	free(identity->fields);
	free(identity->role_arn);
	free(identity->role_source);
	free(identity);
	return NULL;
}
