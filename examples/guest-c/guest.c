// An example guest in C, with no library at all: it takes a prompt in tokens and answers with the most probable token each
// time. It reads three fields of the request of docs/abi.md, "model", "tokens" and "max_tokens".
//
//   clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -I ../../guest -o guest-c.wasm guest.c

#include "realm.h"

#define MAX_TOKENS 4096

static uint32_t tokens[MAX_TOKENS];
static char result[16 * MAX_TOKENS];

// Memory for the host is what the linker left behind the data, and grows. Nothing is freed: each request starts from the
// same snapshot.
extern unsigned char __heap_base;
static uintptr_t heap;

REALM_EXPORT(realm_abi_version) uint32_t realm_abi_version(void) { return REALM_ABI_VERSION; }

REALM_EXPORT(realm_alloc) uint32_t realm_alloc(uint32_t size) {
  if (heap == 0)
    heap = ((uintptr_t)&__heap_base + 7) & ~(uintptr_t)7;
  uint64_t end = heap + (((uint64_t)size + 7) & ~(uint64_t)7);
  uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) << 16;
  if (end > have && __builtin_wasm_memory_grow(0, (end - have + 0xffff) >> 16) == (unsigned long)-1)
    return 0;
  uint32_t ptr = heap;
  heap = end;
  return ptr;
}

REALM_EXPORT(realm_free) void realm_free(uint32_t ptr) { (void)ptr; }

// Finds "name": in JSON without white space and returns what follows it, 0 if it is not there.
static const uint8_t *field(const uint8_t *json, const uint8_t *end, const char *name) {
  for (; json < end; json++) {
    const uint8_t *at = json;
    const char *n = name;
    while (*n && at < end && *at == (uint8_t)*n)
      at++, n++;
    if (!*n)
      return at;
  }
  return 0;
}

static const uint8_t *number(const uint8_t *at, const uint8_t *end, uint32_t *value) {
  for (*value = 0; at < end && *at >= '0' && *at <= '9'; at++)
    *value = 10 * *value + (*at - '0');
  return at;
}

static char *text(char *to, const char *s) {
  while (*s)
    *to++ = *s++;
  return to;
}

static char *decimal(char *to, uint32_t value) {
  char digits[10];
  int n = 0;
  do
    digits[n++] = '0' + value % 10;
  while (value /= 10);
  while (n)
    *to++ = digits[--n];
  return to;
}

static int32_t fail(int32_t code, const char *why) {
  realm_emit(REALM_EMIT_ERROR, (const uint8_t *)why, text(result, why) - result);
  return code;
}

REALM_EXPORT(realm_generate) int32_t realm_generate(const uint8_t *request, uint32_t len) {
  const uint8_t *end = request + len, *at;
  uint32_t model, limit, count = 0;
  if (!(at = field(request, end, "\"model\":")))
    return fail(-REALM_INVALID_ARGUMENT, "guest-c: no model");
  number(at, end, &model);
  if (!(at = field(request, end, "\"max_tokens\":")))
    return fail(-REALM_INVALID_ARGUMENT, "guest-c: no max_tokens");
  number(at, end, &limit);
  if (!(at = field(request, end, "\"tokens\":[")))
    return fail(-REALM_INVALID_ARGUMENT, "guest-c: no tokens");
  while (at < end && *at != ']' && count < MAX_TOKENS) {
    at = number(at, end, &tokens[count++]);
    if (at < end && *at == ',')
      at++;
    else if (at < end && *at != ']')
      return fail(-REALM_INVALID_ARGUMENT, "guest-c: tokens that are no numbers");
  }
  uint32_t prompt = count;
  if (limit > MAX_TOKENS - prompt)
    return fail(-REALM_LIMIT_EXCEEDED, "guest-c: more tokens than this guest has room for");

  for (uint32_t computed = 0; count < prompt + limit; count++) {
    int32_t code = realm_forward(model, &tokens[computed], count - computed, computed, 0);
    computed = count;
    float logit;
    if (code >= 0)
      code = realm_top_logits(model, 1, &tokens[count], &logit);
    if (code < 0)
      return fail(code, "guest-c: the model failed");
    realm_token_logprob chunk = {tokens[count], __builtin_nanf("")};
    realm_emit(REALM_EMIT_TOKEN, (const uint8_t *)&chunk, sizeof chunk);
  }

  char *to = text(result, "{\"tokens\":[");
  for (uint32_t i = prompt; i < count; i++) {
    if (i > prompt)
      *to++ = ',';
    to = decimal(to, tokens[i]);
  }
  to = text(to, "],\"finish_reason\":\"length\",\"usage\":{\"prompt_tokens\":");
  to = text(decimal(to, prompt), ",\"completion_tokens\":");
  to = text(decimal(to, count - prompt), "}}");
  return realm_emit(REALM_EMIT_RESULT, (const uint8_t *)result, to - result);
}
