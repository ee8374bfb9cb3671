#include "core/token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define TOKEN_VERSION 1
#define EXPIRY_SIZE 5
#define NONCE_SIZE 12
#define SIGNED_SIZE (1 + EXPIRY_SIZE + NONCE_SIZE)
#define MAC_SIZE 24
#define RAW_SIZE (SIGNED_SIZE + MAC_SIZE)

_Static_assert(RAW_SIZE * 4 / 3 == TOKEN_LEN, "base64 of a token has no padding");

static int mac(const uint8_t key[static TOKEN_KEY_SIZE], const void *data, size_t len,
	       uint8_t ret[static EVP_MAX_MD_SIZE])
{
	unsigned n = 0;

	if (!HMAC(EVP_sha256(), key, TOKEN_KEY_SIZE, data, len, ret, &n) || n != 32)
		return -EIO;
	return 0;
}

int token_container_key(const uint8_t master[static TOKEN_KEY_SIZE], const char *id,
			const uint8_t instance[static TOKEN_INSTANCE_SIZE],
			uint8_t ret[static TOKEN_KEY_SIZE])
{
	uint8_t data[TOKEN_INSTANCE_SIZE + 256], digest[EVP_MAX_MD_SIZE];
	size_t id_len = strlen(id);

	if (id_len > sizeof(data) - TOKEN_INSTANCE_SIZE)
		return -EINVAL;
	memcpy(data, instance, TOKEN_INSTANCE_SIZE);
	memcpy(data + TOKEN_INSTANCE_SIZE, id, id_len);
	int r = mac(master, data, TOKEN_INSTANCE_SIZE + id_len, digest);
	if (r == 0)
		memcpy(ret, digest, TOKEN_KEY_SIZE);
	explicit_bzero(digest, sizeof(digest));
	return r;
}

/* RFC 4648 section 5, without padding; lengths here are multiples of three. */
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(const uint8_t *raw, size_t size, char *to)
{
	for (size_t i = 0; i < size; i += 3) {
		uint32_t n = (uint32_t)raw[i] << 16 | (uint32_t)raw[i + 1] << 8 | raw[i + 2];
		for (int shift = 18; shift >= 0; shift -= 6)
			*to++ = alphabet[n >> shift & 63];
	}
	*to = '\0';
}

int token_container_secrets(const uint8_t key[static TOKEN_KEY_SIZE],
			    char ret_ecs_id[static TOKEN_ECS_ID_LEN + 1],
			    char ret_eks_token[static TOKEN_EKS_BEARER_LEN + 1])
{
	/* No token's signed part begins like these: it begins with TOKEN_VERSION. */
	static const char ecs[] = "ecs-credentials-id", eks[] = "eks-authorization-token";
	uint8_t digest[EVP_MAX_MD_SIZE] = {0};
	char text[(EVP_MAX_MD_SIZE + 2) / 3 * 4 + 1];
	char *to = ret_ecs_id;

	int r = mac(key, ecs, sizeof(ecs) - 1, digest);
	for (size_t i = 0; r == 0 && i < 16; i++)
		to += sprintf(to, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			      digest[i]);
	if (r == 0)
		r = mac(key, eks, sizeof(eks) - 1, digest);
	if (r == 0) {
		digest[32] = 0; /* base64 goes on in threes; the rest of the text is cut */
		encode(digest, 33, text);
		memcpy(ret_eks_token, text, TOKEN_EKS_BEARER_LEN);
		ret_eks_token[TOKEN_EKS_BEARER_LEN] = '\0';
	}
	explicit_bzero(digest, sizeof(digest));
	explicit_bzero(text, sizeof(text));
	return r;
}

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static int decode(const char *text, uint8_t ret[static RAW_SIZE])
{
	for (size_t i = 0; i < TOKEN_LEN; i += 4) {
		uint32_t n = 0;
		for (size_t k = 0; k < 4; k++) {
			int d = digit(text[i + k]);
			if (d < 0)
				return -EACCES;
			n = n << 6 | (uint32_t)d;
		}
		*ret++ = (uint8_t)(n >> 16);
		*ret++ = (uint8_t)(n >> 8);
		*ret++ = (uint8_t)n;
	}
	return 0;
}

int token_issue(const uint8_t key[static TOKEN_KEY_SIZE], int64_t now_ms, int64_t ttl_s,
		char ret[static TOKEN_LEN + 1])
{
	uint8_t raw[RAW_SIZE], digest[EVP_MAX_MD_SIZE];
	/* Rounded up, so that a token lives at least as long as was asked for. */
	uint64_t expiry = (uint64_t)((now_ms + 999) / 1000 + ttl_s);

	raw[0] = TOKEN_VERSION;
	for (size_t i = 0; i < EXPIRY_SIZE; i++)
		raw[1 + i] = (uint8_t)(expiry >> 8 * (EXPIRY_SIZE - 1 - i));
	if (getrandom(raw + 1 + EXPIRY_SIZE, NONCE_SIZE, 0) != NONCE_SIZE)
		return -EIO;
	int r = mac(key, raw, SIGNED_SIZE, digest);
	if (r < 0)
		return r;
	memcpy(raw + SIGNED_SIZE, digest, MAC_SIZE);
	encode(raw, RAW_SIZE, ret);
	return 0;
}

int token_verify(const uint8_t key[static TOKEN_KEY_SIZE], const char *text, size_t len,
		 int64_t now_ms, int64_t *ret_expires_ms)
{
	uint8_t raw[RAW_SIZE], digest[EVP_MAX_MD_SIZE];
	uint64_t expiry = 0;

	if (len != TOKEN_LEN || decode(text, raw) < 0)
		return -EACCES;
	if (mac(key, raw, SIGNED_SIZE, digest) < 0)
		return -EACCES;
	if (CRYPTO_memcmp(raw + SIGNED_SIZE, digest, MAC_SIZE) != 0 || raw[0] != TOKEN_VERSION)
		return -EACCES;
	for (size_t i = 0; i < EXPIRY_SIZE; i++)
		expiry = expiry << 8 | raw[1 + i];
	*ret_expires_ms = (int64_t)expiry * 1000;
	return *ret_expires_ms > now_ms ? 0 : -ETIME;
}
