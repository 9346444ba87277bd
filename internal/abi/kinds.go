package abi

import "github.com/realm-ai/realm/internal/errs"

// Kind is a named number of the ABI.
type Kind struct {
	Name  string // of the C header's constant
	Value uint32
	Doc   string
}

// What realm_get_model_metadata knows.
const (
	MetadataVocab        = 1
	MetadataChatTemplate = 2
	MetadataName         = 3
	MetadataArchitecture = 4
)

// MetadataKinds returns the values of realm_get_model_metadata's what.
func MetadataKinds() []Kind {
	return []Kind{
		{"REALM_METADATA_VOCAB", MetadataVocab, "the vocabulary table"},
		{
			"REALM_METADATA_CHAT_TEMPLATE", MetadataChatTemplate,
			"the chat template, a Jinja template in UTF-8; NOT_FOUND where the model has none",
		},
		{"REALM_METADATA_NAME", MetadataName, "the model's name, which may be empty"},
		{"REALM_METADATA_ARCHITECTURE", MetadataArchitecture, "the architecture, such as llama"},
	}
}

// What realm_emit takes.
const (
	EmitText   = 1
	EmitToken  = 2
	EmitResult = 3
	EmitError  = 4
)

// EmitKinds returns the values of realm_emit's kind.
func EmitKinds() []Kind {
	return []Kind{
		{"REALM_EMIT_TEXT", EmitText, "text of the answer, in whole UTF-8 characters"},
		{
			"REALM_EMIT_TOKEN", EmitToken,
			"a token that was drawn: a realm_token_logprob of it, then as many of the most probable tokens as were asked for",
		},
		{"REALM_EMIT_RESULT", EmitResult, "the result in JSON, once, after everything else"},
		{"REALM_EMIT_ERROR", EmitError, "the text of the error with which realm_generate is about to return"},
	}
}

// ErrorResult is what a host function returns for an error: minus its code, 0 for nil.
func ErrorResult(err error) int32 { return -int32(errs.CodeOf(err)) }

// ErrorCode is the code of a result below 0. A number that is no code is errs.Internal.
func ErrorCode(result int32) errs.Code {
	if code := -int64(result); code > 0 && code < int64(len(errs.Codes())) {
		return errs.Code(code)
	}
	return errs.Internal
}
