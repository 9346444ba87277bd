// The Node-API side of the addon: it turns JavaScript values into realm_values, calls Go, and hands back what Go answers.
// It knows no policy: which functions there are, what they take and what their errors are is Go's.
//
// Threads: everything but realm_post runs on the thread of its environment. The reference for the functions used is
// Node's documentation of Node-API; versions up to 8 are used.
#define NAPI_VERSION 8
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "addon.h"
#include "_cgo_export.h"

// max_args is the most arguments that a function takes; a host function of a guest takes the most.
#define MAX_ARGS 12

struct realm_env {
	napi_env napi;
	uintptr_t number; // Go's name for it
	napi_threadsafe_function wake;
	size_t pending; // operations not over: they keep the event loop alive
	napi_ref json_parse;
};

// buffers are the arguments that must not be collected while an operation goes on.
struct realm_operation {
	realm_env *env;
	uintptr_t number;
	realm_credit credit;
	napi_ref callback;
	size_t buffers;
	napi_ref buffer[MAX_ARGS];
};

struct event {
	realm_operation *op;
	realm_value value;
	bool last;
};

static void fail(napi_env napi, const char *what) {
	bool pending = false;
	if (napi_is_exception_pending(napi, &pending) == napi_ok && !pending) {
		napi_throw_error(napi, "internal", what);
	}
}

// TRY makes the calling function return `otherwise` with an exception where a Node-API call does not succeed.
#define TRY(napi, call, otherwise)              \
	do {                                        \
		if ((call) != napi_ok) {                \
			fail((napi), "realm: " #call);      \
			return otherwise;                   \
		}                                       \
	} while (0)

// read_arg fills in one argument. A string's data is from malloc.
static bool read_arg(napi_env napi, napi_value from, realm_value *to) {
	napi_valuetype type;
	TRY(napi, napi_typeof(napi, from, &type), false);
	memset(to, 0, sizeof *to);
	switch (type) {
	case napi_undefined:
	case napi_null:
		to->kind = REALM_UNDEFINED;
		return true;
	case napi_boolean: {
		bool b;
		TRY(napi, napi_get_value_bool(napi, from, &b), false);
		to->kind = REALM_BOOL;
		to->number = b;
		return true;
	}
	case napi_number:
		TRY(napi, napi_get_value_double(napi, from, &to->number), false);
		to->kind = REALM_NUMBER;
		return true;
	case napi_string:
		TRY(napi, napi_get_value_string_utf8(napi, from, NULL, 0, &to->size), false);
		to->data = malloc(to->size + 1);
		if (to->data == NULL) {
			fail(napi, "realm: no memory for a string");
			return false;
		}
		to->kind = REALM_STRING;
		TRY(napi, napi_get_value_string_utf8(napi, from, to->data, to->size + 1, &to->size), false);
		return true;
	default:
		break;
	}
	bool is = false;
	to->kind = REALM_BYTES;
	if (napi_is_arraybuffer(napi, from, &is) == napi_ok && is) {
		TRY(napi, napi_get_arraybuffer_info(napi, from, &to->data, &to->size), false);
		return true;
	}
	if (napi_is_typedarray(napi, from, &is) == napi_ok && is) {
		static const size_t width[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
		napi_typedarray_type elements;
		size_t n;
		TRY(napi, napi_get_typedarray_info(napi, from, &elements, &n, &to->data, NULL, NULL), false);
		if ((size_t)elements < sizeof width / sizeof *width) {
			to->size = n * width[elements];
			return true;
		}
	}
	if (napi_is_dataview(napi, from, &is) == napi_ok && is) {
		TRY(napi, napi_get_dataview_info(napi, from, &to->size, &to->data, NULL, NULL), false);
		return true;
	}
	to->kind = REALM_OTHER;
	to->data = NULL;
	to->size = 0;
	return true;
}

// free_args frees what read_arg allocated.
static void free_args(realm_value *args, size_t n) {
	for (size_t i = 0; i < n; i++) {
		if (args[i].kind == REALM_STRING) {
			free(args[i].data);
		}
	}
}

static napi_value undefined(napi_env napi) {
	napi_value v = NULL;
	napi_get_undefined(napi, &v);
	return v;
}

static napi_value parse_json(realm_env *env, const realm_value *v) {
	napi_value parse, text, result;
	TRY(env->napi, napi_get_reference_value(env->napi, env->json_parse, &parse), NULL);
	TRY(env->napi, napi_create_string_utf8(env->napi, v->data, v->size, &text), NULL);
	TRY(env->napi, napi_call_function(env->napi, undefined(env->napi), parse, 1, &text, &result), NULL);
	return result;
}

// make_error makes the Error that Go described: its message, with the other properties assigned to it.
static napi_value make_error(realm_env *env, const realm_value *v) {
	static const char *const names[] = {"code", "goStack"};
	napi_env napi = env->napi;
	napi_value described = parse_json(env, v), message, error;
	if (described == NULL) {
		return NULL;
	}
	TRY(napi, napi_get_named_property(napi, described, "message", &message), NULL);
	TRY(napi, napi_create_error(napi, NULL, message, &error), NULL);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		bool has = false;
		napi_value property;
		TRY(napi, napi_has_named_property(napi, described, names[i], &has), NULL);
		if (has) {
			TRY(napi, napi_get_named_property(napi, described, names[i], &property), NULL);
			TRY(napi, napi_set_named_property(napi, error, names[i], property), NULL);
		}
	}
	return error;
}

// make_value turns a result into a JavaScript value and frees its data. An error becomes an Error, which *threw tells.
static napi_value make_value(realm_env *env, realm_value *v, bool *is_error) {
	napi_env napi = env->napi;
	napi_value result = NULL;
	*is_error = v->kind == REALM_ERROR;
	switch (v->kind) {
	case REALM_BOOL:
		napi_get_boolean(napi, v->number != 0, &result);
		break;
	case REALM_NUMBER:
		napi_create_double(napi, v->number, &result);
		break;
	case REALM_STRING:
		napi_create_string_utf8(napi, v->data, v->size, &result);
		break;
	case REALM_BYTES: {
		void *to;
		if (napi_create_arraybuffer(napi, v->size, &to, &result) == napi_ok && v->size > 0) {
			memcpy(to, v->data, v->size);
		}
		break;
	}
	case REALM_JSON:
		result = parse_json(env, v);
		break;
	case REALM_ERROR:
		result = make_error(env, v);
		break;
	default:
		result = undefined(napi);
	}
	free(v->data);
	v->data = NULL;
	if (result == NULL) {
		fail(napi, "realm: no room for a result");
	}
	return result;
}

// call_sync is every function that Go has: its number is the callback's data.
static napi_value call_sync(napi_env napi, napi_callback_info info) {
	realm_env *env;
	size_t n = MAX_ARGS;
	napi_value from[MAX_ARGS];
	void *data;
	TRY(napi, napi_get_cb_info(napi, info, &n, from, NULL, &data), NULL);
	TRY(napi, napi_get_instance_data(napi, (void **)&env), NULL);
	n = n < MAX_ARGS ? n : MAX_ARGS;
	realm_value args[MAX_ARGS + 1];
	size_t read = 0;
	napi_value buffer = NULL;
	while (read < n && read_arg(napi, from[read], &args[read])) {
		read++;
	}
	if (read < n) {
		free_args(args, read);
		return NULL;
	}
	realm_value result = realmCall(env->number, (int)(uintptr_t)data, args, (int)n);
	if (result.kind == REALM_BUFFER) {
		memset(&args[n], 0, sizeof args[n]);
		args[n].kind = REALM_BYTES;
		args[n].size = result.size;
		if (napi_create_arraybuffer(napi, result.size, &args[n].data, &buffer) != napi_ok) {
			free_args(args, n);
			fail(napi, "realm: no memory for an ArrayBuffer");
			return NULL;
		}
		result = realmCall(env->number, (int)(uintptr_t)data, args, (int)n + 1);
	}
	free_args(args, n);
	bool is_error;
	napi_value value = make_value(env, &result, &is_error);
	if (is_error && value != NULL) {
		napi_throw(napi, value);
		return NULL;
	}
	return buffer != NULL ? buffer : value;
}

static void free_operation(realm_operation *op) {
	napi_env napi = op->env->napi;
	if (op->callback != NULL) {
		napi_delete_reference(napi, op->callback);
	}
	for (size_t i = 0; i < op->buffers; i++) {
		napi_delete_reference(napi, op->buffer[i]);
	}
	free(op);
}

// start(name, callback, ...args) begins an operation and returns its number. callback(error, value, last) is called for
// everything that Go posts. It may return how many chunks were taken that it has not told of.
static napi_value start(napi_env napi, napi_callback_info info) {
	realm_env *env;
	size_t n = MAX_ARGS;
	napi_value from[MAX_ARGS], result;
	TRY(napi, napi_get_cb_info(napi, info, &n, from, NULL, NULL), NULL);
	TRY(napi, napi_get_instance_data(napi, (void **)&env), NULL);
	n = n < MAX_ARGS ? n : MAX_ARGS;
	napi_valuetype type = napi_undefined;
	if (n >= 2) {
		TRY(napi, napi_typeof(napi, from[1], &type), NULL);
	}
	if (type != napi_function) {
		napi_throw_type_error(napi, "invalid_argument", "realm: start: want a name, a callback and arguments");
		return NULL;
	}
	realm_operation *op = calloc(1, sizeof *op);
	if (op == NULL) {
		fail(napi, "realm: no memory for an operation");
		return NULL;
	}
	op->env = env;
	realm_value args[MAX_ARGS];
	size_t read = 0;
	bool ok = napi_create_reference(napi, from[1], 1, &op->callback) == napi_ok;
	for (; ok && read < n; read++) {
		if (read == 1) {
			memset(&args[1], 0, sizeof args[1]);
			continue;
		}
		if (!read_arg(napi, from[read], &args[read])) {
			ok = false;
			break;
		}
		if (args[read].kind == REALM_BYTES) {
			ok = napi_create_reference(napi, from[read], 1, &op->buffer[op->buffers]) == napi_ok;
			op->buffers += ok;
		}
	}
	if (!ok) {
		free_args(args, read);
		free_operation(op);
		fail(napi, "realm: start");
		return NULL;
	}
	if (env->pending++ == 0) {
		napi_ref_threadsafe_function(napi, env->wake);
	}
	op->number = realmStart(env->number, env, op, &op->credit, args, (int)n);
	free_args(args, n);
	TRY(napi, napi_create_double(napi, (double)op->number, &result), NULL);
	return result;
}

// drop frees an event whose environment is gone, and its references with it.
static void drop(struct event *e) {
	if (e->last) {
		free(e->op);
	}
	free(e->value.data);
	free(e);
}

void realm_post(realm_env *env, realm_operation *op, realm_value value, bool last) {
	struct event *e = malloc(sizeof *e);
	if (e == NULL) {
		abort();
	}
	*e = (struct event){op, value, last};
	if (napi_call_threadsafe_function(env->wake, e, napi_tsfn_nonblocking) != napi_ok) {
		drop(e);
	}
}

// credit tells Go what a callback returned. Go is called only where it waits.
static void credit(napi_env napi, realm_operation *op, napi_value returned) {
	double chunks;
	if (napi_get_value_double(napi, returned, &chunks) != napi_ok || !(chunks >= 1 && chunks <= INT32_MAX)) {
		return;
	}
	__atomic_fetch_add(&op->credit.taken, (int64_t)chunks, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&op->credit.waits, __ATOMIC_SEQ_CST) != 0) {
		realmTaken(op->env->number, op->number);
	}
}

// deliver calls an operation's callback. napi is NULL where the environment is gone.
static void deliver(napi_env napi, napi_value unused, void *context, void *data) {
	(void)unused;
	realm_env *env = context;
	struct event *e = data;
	if (napi == NULL) {
		drop(e);
		return;
	}
	bool is_error = false;
	napi_value args[3], callback, returned, value = make_value(env, &e->value, &is_error);
	if (value != NULL && napi_get_reference_value(napi, e->op->callback, &callback) == napi_ok) {
		args[0] = is_error ? value : undefined(napi);
		args[1] = is_error ? undefined(napi) : value;
		napi_get_boolean(napi, e->last, &args[2]);
		if (napi_call_function(napi, undefined(napi), callback, 3, args, &returned) == napi_ok) {
			credit(napi, e->op, returned);
		}
	}
	if (e->last) {
		free_operation(e->op);
		if (--env->pending == 0) {
			napi_unref_threadsafe_function(napi, env->wake);
		}
	}
	free(e);
	// An exception of the callback is nobody's to catch: Node shall report it as it does others.
	bool threw = false;
	if (napi_is_exception_pending(napi, &threw) == napi_ok && threw) {
		napi_value exception;
		if (napi_get_and_clear_last_exception(napi, &exception) == napi_ok) {
			napi_fatal_exception(napi, exception);
		}
	}
}

// close_env ends what the environment has running and waits for it, since that may use buffers that go with the
// environment.
static void close_env(void *data) {
	realm_env *env = data;
	realmEnvClose(env->number);
	napi_release_threadsafe_function(env->wake, napi_tsfn_abort);
}

int realm_trim(void) {
#ifdef __GLIBC__
	return malloc_trim(0);
#else
	return 0;
#endif
}

static void free_env(napi_env napi, void *data, void *hint) {
	(void)napi;
	(void)hint;
	free(data);
}

static bool define(napi_env napi, napi_value exports, const char *name, napi_callback function, void *data) {
	napi_property_descriptor property = {
		.utf8name = name, .method = function, .attributes = napi_enumerable, .data = data};
	TRY(napi, napi_define_properties(napi, exports, 1, &property), false);
	return true;
}

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
	napi_env napi = env;
	realm_env *own = calloc(1, sizeof *own);
	if (own == NULL) {
		fail(napi, "realm: no memory for the addon");
		return NULL;
	}
	own->napi = napi;
	napi_value global, json, parse, name;
	// From here on the environment frees own.
	TRY(napi, napi_set_instance_data(napi, own, free_env, NULL), NULL);
	TRY(napi, napi_get_global(napi, &global), NULL);
	TRY(napi, napi_get_named_property(napi, global, "JSON", &json), NULL);
	TRY(napi, napi_get_named_property(napi, json, "parse", &parse), NULL);
	TRY(napi, napi_create_reference(napi, parse, 1, &own->json_parse), NULL);
	TRY(napi, napi_create_string_utf8(napi, "realm", NAPI_AUTO_LENGTH, &name), NULL);
	TRY(napi, napi_create_threadsafe_function(napi, NULL, NULL, name, 0, 1, NULL, NULL, own, deliver, &own->wake), NULL);
	TRY(napi, napi_unref_threadsafe_function(napi, own->wake), NULL);
	own->number = realmEnvOpen();
	// Hooks run last in first out: this one runs before that of the threadsafe function.
	TRY(napi, napi_add_env_cleanup_hook(napi, close_env, own), NULL);
	for (int i = 0; i < realmFunctions(); i++) {
		char *function = realmFunctionName(i);
		bool ok = define(napi, exports, function, call_sync, (void *)(uintptr_t)i);
		free(function);
		if (!ok) {
			return NULL;
		}
	}
	return define(napi, exports, "start", start, NULL) ? exports : NULL;
}
