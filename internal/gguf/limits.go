package gguf

// The limits on what a file may claim. Each is far above what real models hold; memory is bounded by the size of the
// input besides (a count that the remaining bytes cannot hold is refused before anything is allocated for it).
const (
	// maxHeader bounds everything before the tensor data, which Open copies to the heap. Vocabularies of 256k tokens
	// with scores, types and merges take about 20 MB.
	maxHeader = 256 << 20

	// maxMetadata bounds the number of metadata keys. Models have 20 to 100.
	maxMetadata = 1 << 16

	// maxTensors bounds the number of tensors of one part. Files that store each expert's matrices on their own reach
	// 50 thousand.
	maxTensors = 1 << 17

	// maxParts bounds the files of a split model. gguf-split makes 50 GB parts of what is rarely over a terabyte.
	maxParts = 1 << 10

	// maxKey is the length of a metadata key that the format's description allows, in bytes.
	maxKey = 1<<16 - 1

	// maxName bounds a tensor's name in bytes. The format's description says 64; forks of ggml go to 128 and 256.
	maxName = 256

	// maxString bounds a string value in bytes. The longest that occur hold a whole tokenizer.json, 10 to 30 MB.
	maxString = 64 << 20

	// maxArray bounds the number of elements of one array. The largest vocabularies have 256k tokens and twice as many
	// merges.
	maxArray = 1 << 24

	// maxNesting bounds arrays of arrays: a plain array has depth 1. No known model nests at all; the format may.
	maxNesting = 4

	// maxDims is GGML_MAX_DIMS.
	maxDims = 4

	// maxQuoted bounds how many bytes of a name from the file an error message repeats.
	maxQuoted = 64

	// defaultAlignment applies where a file has no key general.alignment.
	defaultAlignment = 32
)

// The fewest bytes that an entry of each sort can take, against which counts are checked.
const (
	minMetadata = 8 + 1 + 4 + 1         // key length, key, kind, value
	minTensor   = 8 + 1 + 4 + 8 + 4 + 8 // name length, name, dimensions, one dimension, dtype, offset
	minString   = 8                     // length
	minArray    = 4 + 8                 // element kind, length
)
