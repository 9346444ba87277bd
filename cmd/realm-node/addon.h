// What addon.c and the Go side of the addon say to one another. Neither keeps what the other passed for longer than a
// call, unless a comment says so.
#ifndef REALM_ADDON_H
#define REALM_ADDON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
	REALM_UNDEFINED,
	REALM_BOOL,   // number is 0 or 1
	REALM_NUMBER, // number
	REALM_STRING, // size bytes of UTF-8 at data
	REALM_BYTES,  // size bytes at data, which belong to a JavaScript buffer
	REALM_JSON,   // as a string; only a result: the value that it stands for
	REALM_ERROR,  // as JSON; only a result: {code, message, stack}
	REALM_BUFFER, // only a result: the call wants a new ArrayBuffer of size bytes as a further argument
	REALM_OTHER,  // only an argument: a value of another type
} realm_kind;

typedef struct {
	realm_kind kind;
	double number;
	void *data; // of a result: from malloc, the receiver's to free
	size_t size;
} realm_value;

// realm_env is one JavaScript environment: the main thread's or a worker's.
typedef struct realm_env realm_env;

// realm_operation is a call that goes on after it returned to JavaScript.
typedef struct realm_operation realm_operation;

// realm_credit is how far the receiver of an operation's chunks is. Both sides change it, atomically. Go has it as a Credit of
// package bridge, whose comments say what is expected of either.
typedef struct {
	int64_t taken; // chunks
	int32_t waits; // not 0: realmTaken is to be called once taken has changed
} realm_credit;

// realm_post hands a value to the callback of an operation, from any thread, and takes value.data over. With last set
// the operation is over: nothing may be posted to it any more. It may be called until Go's realmEnvClose has returned.
void realm_post(realm_env *env, realm_operation *op, realm_value value, bool last);

// realm_trim gives free memory of the C library back to the operating system, where it knows how to, and returns whether
// there was any.
int realm_trim(void);

#endif
