#include "core/handover.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define MAGIC "rolegate handover 1\n"
#define MAGIC_SIZE (sizeof(MAGIC) - 1)
#define SALT_SIZE (HANDOVER_HEADER_SIZE - MAGIC_SIZE)
#define NONCE_SIZE 12
#define TAG_SIZE 16

/* One key for each file, so that a nonce can be a number and is never used twice. */
static int begin(struct handover *h, const uint8_t master[static TOKEN_KEY_SIZE],
		 const uint8_t header[static HANDOVER_HEADER_SIZE])
{
	unsigned n = 0;

	*h = (struct handover){0};
	if (!HMAC(EVP_sha256(), master, TOKEN_KEY_SIZE, header, HANDOVER_HEADER_SIZE, h->key, &n) ||
	    n != sizeof(h->key))
		return -EIO;
	h->cipher = EVP_CIPHER_CTX_new();
	return h->cipher ? 0 : -ENOMEM;
}

void handover_deinit(struct handover *h)
{
	EVP_CIPHER_CTX_free(h->cipher); /* wipes */
	explicit_bzero(h, sizeof(*h));
}

int handover_seal(struct handover *h, const uint8_t master[static TOKEN_KEY_SIZE], struct buf *out)
{
	uint8_t header[HANDOVER_HEADER_SIZE];

	memcpy(header, MAGIC, MAGIC_SIZE);
	if (getrandom(header + MAGIC_SIZE, SALT_SIZE, 0) != (ssize_t)SALT_SIZE)
		return -EIO;
	buf_put(out, header, sizeof(header));
	return begin(h, master, header);
}

int handover_open(struct handover *h, const uint8_t master[static TOKEN_KEY_SIZE],
		  const uint8_t header[static HANDOVER_HEADER_SIZE])
{
	*h = (struct handover){0};
	if (memcmp(header, MAGIC, MAGIC_SIZE) != 0)
		return -EBADMSG;
	return begin(h, master, header);
}

static void next_nonce(struct handover *h, uint8_t ret[static NONCE_SIZE])
{
	memset(ret, 0, NONCE_SIZE);
	memcpy(ret, &h->number, sizeof(h->number));
	h->number++;
}

static void put_u64(struct buf *out, int64_t n)
{
	buf_put(out, &n, sizeof(n)); /* one machine, one run of it */
}

static void put_text(struct buf *out, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	put_u64(out, (int64_t)len);
	buf_put(out, text ? text : "", len);
}

void handover_print(const struct session *s, struct buf *out)
{
	const struct credentials *c = s->credentials;

	put_text(out, s->request);
	put_text(out, c->access_key_id);
	put_text(out, c->secret_access_key);
	put_text(out, c->session_token);
	put_text(out, s->info_document);
	put_u64(out, c->expiration_s);
	put_u64(out, c->last_updated_s);
	put_u64(out, c->expires_ms);
	put_u64(out, s->issued_ms);
	put_u64(out, s->next_ms);
	put_u64(out, s->idle_ms);
	put_u64(out, s->last_refresh_s);
}

int handover_put(struct handover *h, const struct session *s, int64_t now_ms, struct buf *out)
{
	_cleanup_buf_ struct buf plain = {0};
	uint8_t nonce[NONCE_SIZE];
	int n = 0, last = 0;

	if (!session_valid(s, now_ms) || !s->info_document)
		return 0;
	handover_print(s, &plain);
	if (!buf_ok(&plain))
		return -ENOMEM;
	if (plain.len + TAG_SIZE > HANDOVER_RECORD_MAX)
		return 0;
	uint32_t len = (uint32_t)(plain.len + TAG_SIZE);
	buf_put(out, &len, sizeof(len));
	uint8_t *to = (uint8_t *)buf_reserve(out, len);
	if (!to)
		return -ENOMEM;
	next_nonce(h, nonce);
	if (EVP_EncryptInit_ex(h->cipher, EVP_aes_256_gcm(), NULL, h->key, nonce) != 1 ||
	    EVP_EncryptUpdate(h->cipher, to, &n, (const uint8_t *)plain.data, (int)plain.len) !=
		    1 ||
	    EVP_EncryptFinal_ex(h->cipher, to + n, &last) != 1 ||
	    EVP_CIPHER_CTX_ctrl(h->cipher, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, to + plain.len) != 1)
		return -EIO;
	to[len] = '\0';
	out->len += len;
	return 0;
}

struct reader {
	const uint8_t *at, *end;
	bool bad;
};

static int64_t take_u64(struct reader *r)
{
	int64_t n = 0;

	if (r->bad || (size_t)(r->end - r->at) < sizeof(n)) {
		r->bad = true;
		return 0;
	}
	memcpy(&n, r->at, sizeof(n));
	r->at += sizeof(n);
	return n;
}

/* A copy; NULL if it is no text or too long, with r->bad set. */
static char *take_text(struct reader *r)
{
	uint64_t len = (uint64_t)take_u64(r);

	if (r->bad || len > (uint64_t)(r->end - r->at) || memchr(r->at, '\0', len)) {
		r->bad = true;
		return NULL;
	}
	char *text = strndup((const char *)r->at, len);
	r->bad = !text;
	r->at += len;
	return text;
}

int handover_parse(const uint8_t *data, size_t len, struct session_pool *pool, int64_t now_ms)
{
	struct reader r = {.at = data, .end = data + len};
	struct session_past past = {0};

	_cleanup_secret_ char *request = take_text(&r);
	_cleanup_secret_ char *id = take_text(&r);
	_cleanup_secret_ char *secret = take_text(&r);
	_cleanup_secret_ char *token = take_text(&r);
	_cleanup_secret_ char *info = take_text(&r);
	_cleanup_credentials_ struct credentials *c = credentials_new();
	if (!c)
		return -ENOMEM;
	c->expiration_s = take_u64(&r);
	c->last_updated_s = take_u64(&r);
	c->expires_ms = take_u64(&r);
	past.issued_ms = take_u64(&r);
	past.next_ms = take_u64(&r);
	past.idle_ms = take_u64(&r);
	past.last_refresh_s = take_u64(&r);
	if (r.bad || r.at != r.end)
		return -EBADMSG;
	if (credentials_set_keys(c, id, secret, token[0] ? token : NULL) < 0)
		return -EBADMSG;
	struct session *s = session_pool_find(pool, request);
	if (!s || s->credentials || c->expires_ms <= now_ms)
		return 0;
	past.credentials = c;
	past.info_document = info;
	return session_resume(s, &past, now_ms) == 0 ? 1 : -ENOMEM;
}

int handover_take(struct handover *h, const uint8_t *record, size_t len, struct session_pool *pool,
		  int64_t now_ms)
{
	_cleanup_buf_ struct buf plain = {0};
	uint8_t nonce[NONCE_SIZE], tag[TAG_SIZE];
	int n = 0, last = 0;

	if (len < TAG_SIZE || len > HANDOVER_RECORD_MAX)
		return -EBADMSG;
	size_t text_len = len - TAG_SIZE;
	uint8_t *to = (uint8_t *)buf_reserve(&plain, text_len);
	if (!to)
		return -ENOMEM;
	next_nonce(h, nonce);
	memcpy(tag, record + text_len, TAG_SIZE);
	if (EVP_DecryptInit_ex(h->cipher, EVP_aes_256_gcm(), NULL, h->key, nonce) != 1 ||
	    EVP_DecryptUpdate(h->cipher, to, &n, record, (int)text_len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(h->cipher, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) != 1 ||
	    EVP_DecryptFinal_ex(h->cipher, to + n, &last) != 1)
		return -EBADMSG;
	plain.len = text_len;
	return handover_parse(to, text_len, pool, now_ms);
}
