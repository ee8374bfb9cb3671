#include "launch/applicant.h"

#include <string.h>

#include "launch/confinement.h"
#include "launch/image.h"
#include "util/file.h"

static int judge(const struct config *config, const struct diag *why, struct applicant *a,
		 struct diag *diag)
{
	if (config->runtime.refuse_unconfined)
		return diag_fail(EPERM, diag, NULL,
				 "%.380s; [runtime] unconfined = warn would let it start",
				 why->text);
	a->has_warning = true;
	a->warning = *why;
	return 0;
}

/* netd refuses the host's own netns, rightly: whatever is in there would get the role. */
static int check_role_in_host_netns(const struct config *config, struct applicant *a,
				    struct diag *diag)
{
	struct diag why;

	if (!a->identity->role_arn || !confinement_is_host_netns(a->oci))
		return 0;
	diag_set(&why, NULL,
		 "role %.256s cannot be given to what is in the host's network namespace",
		 a->identity->role_arn);
	int r = judge(config, &why, a, diag);
	free(a->identity->role_arn);
	a->identity->role_arn = NULL;
	return r;
}

/* An image that names a role is not one who asks for it: say so, and go on without. */
static int disown(const char *id, struct applicant *a, struct diag *diag)
{
	_cleanup_free_ char *key = NULL;

	int r = image_disown(a->oci, id, &key, diag);
	if (r == 0 && key) {
		a->has_warning = true;
		diag_set(&a->warning, NULL,
			 "annotation %.128s is the image's own: it does not count", key);
	}
	return r;
}

int applicant_read(const char *id, const char *file, const char *bundle,
		   const struct config *config, struct applicant *ret, struct diag *diag)
{
	struct applicant a = {0};
	struct diag why = {0};

	int r = file_read(file, OCI_CONFIG_MAX, &a.text, &a.len);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "%s: cannot be read: %s", file, strerror(-r));
	r = oci_config_parse(a.text, a.len, &a.oci, &why);
	if (r < 0)
		r = diag_fail(-r, diag, why.field, "%s: %s", file, why.text);
	if (r == 0)
		r = disown(id, &a, diag);
	if (r == 0)
		r = identity_read(a.oci, id, config, &a.identity, diag);
	if (r == 0 && confinement_check(a.oci, bundle, config, &why) < 0)
		r = judge(config, &why, &a, diag);
	if (r == 0)
		r = check_role_in_host_netns(config, &a, diag);
	if (r < 0)
		applicant_deinit(&a);
	else
		*ret = a;
	return r;
}

void applicant_deinit(struct applicant *applicant)
{
	free(applicant->text);
	oci_config_free(applicant->oci);
	identity_free(applicant->identity);
	*applicant = (struct applicant){0};
}
