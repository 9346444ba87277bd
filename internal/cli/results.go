package cli

import (
	"time"

	"github.com/realm-ai/realm"
)

// RunResult is what `realm run --json` prints.
type RunResult struct {
	Text         string             `json:"text"`
	Tokens       []int32            `json:"tokens"`        // of the answer, without the one that ended it
	PromptTokens []int32            `json:"prompt_tokens"` // as the model got them
	FinishReason realm.FinishReason `json:"finish_reason"`
	Usage        Usage              `json:"usage"`
	Timings      Timings            `json:"timings"`
	Memory       Memory             `json:"memory"`
	Model        ModelName          `json:"model"`
	Settings     RunSettings        `json:"settings"`
	Guest        *GuestResult       `json:"guest,omitempty"` // where a guest answered
	LogitsSHA256 string             `json:"logits_sha256,omitempty"`
	Logprobs     []TokenLogprobs    `json:"logprobs,omitempty"`
}

// Usage counts tokens.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CachedTokens     int `json:"cached_tokens"` // of the prompt, those that were not computed again
	CompletionTokens int `json:"completion_tokens"`
}

// Timings are in milliseconds.
type Timings struct {
	Load    float64 `json:"load_ms"`    // to open the model
	Prepare float64 `json:"prepare_ms"` // to bring the weights into the form that the processor wants
	Prefill float64 `json:"prefill_ms"` // for the prompt
	Decode  float64 `json:"decode_ms"`  // for the answer
}

// ModelName says which model ran.
type ModelName struct {
	File         string `json:"file"`
	Name         string `json:"name"`
	Architecture string `json:"architecture"`
}

// RunSettings are the settings that `realm run` used, defaults included.
type RunSettings struct {
	Threads          int                `json:"threads"`
	ContextLength    int                `json:"context_length"`
	CacheType        string             `json:"cache_type"`
	MaxTokens        int                `json:"max_tokens"` // 0 is no limit
	Raw              bool               `json:"raw"`
	System           *string            `json:"system"` // null where the prompt has none of ours
	Stop             []string           `json:"stop"`
	Seed             uint64             `json:"seed"`
	Temperature      float32            `json:"temperature"`
	TopK             int                `json:"top_k"`
	TopP             float32            `json:"top_p"`
	MinP             float32            `json:"min_p"`
	RepeatPenalty    float32            `json:"repeat_penalty"`
	FrequencyPenalty float32            `json:"frequency_penalty"`
	PresencePenalty  float32            `json:"presence_penalty"`
	RepeatLastN      int                `json:"repeat_last_n"`
	LogitBias        map[int32]*float32 `json:"logit_bias"` // null bans a token
}

// TokenLogprobs is a token of the answer with the most probable ones in its place.
type TokenLogprobs struct {
	TokenLogprob
	Top []TokenLogprob `json:"top"`
}

// TokenLogprob is a token and the natural logarithm of its probability, at least MinLogprob.
type TokenLogprob struct {
	ID      int32   `json:"id"`
	Text    string  `json:"text"` // U+FFFD for bytes that are no whole character
	Logprob float32 `json:"logprob"`
}

// MinLogprob stands for the logarithm of zero, which JSON cannot write. It is the number that OpenAI's API uses.
const MinLogprob = -9999

// BenchResult is what `realm bench --json` prints. Speeds are in tokens per second, null for what was skipped.
type BenchResult struct {
	PrefillTPS     *float64        `json:"prefill_tps"` // mean of the repetitions
	PrefillStddev  *float64        `json:"prefill_tps_stddev"`
	PrefillSamples []float64       `json:"prefill_tps_samples"`
	PrefillBound   *Bound          `json:"prefill_tps_bound,omitempty"`
	DecodeTPS      *float64        `json:"decode_tps"`
	DecodeStddev   *float64        `json:"decode_tps_stddev"`
	DecodeSamples  []float64       `json:"decode_tps_samples"`
	DecodeBound    *Bound          `json:"decode_tps_bound,omitempty"`
	LoadMS         float64         `json:"load_ms"`
	PrepareMS      float64         `json:"prepare_ms"`
	Memory                         // peak_bytes, resident_bytes, anonymous_bytes
	Limits         *BenchLimits    `json:"limits,omitempty"`
	Collector      *BenchCollector `json:"gc,omitempty"`
	Model          ModelName       `json:"model"`
	Settings       BenchSettings   `json:"settings"`
}

// BenchLimits are what the machine does at best, measured right after the model.
type BenchLimits struct {
	Instructions string  `json:"instructions"` // it was measured with
	Bytes        int64   `json:"bytes"`        // of memory that were read
	Rates        []Rates `json:"rates"`        // of one thread, and of as many as the model had
}

// BenchCollector is the decode speed while garbage collections are forced, and what they cost.
type BenchCollector struct {
	DecodeTPS     float64   `json:"decode_tps"`
	DecodeStddev  float64   `json:"decode_tps_stddev"`
	DecodeSamples []float64 `json:"decode_tps_samples"`
	Cost          float64   `json:"cost"`   // the share of the speed that they took, by medians
	Pauses        uint64    `json:"pauses"` // times for which all threads were stopped, two for each collection
	PauseP50MS    float64   `json:"pause_p50_ms"`
	PauseP99MS    float64   `json:"pause_p99_ms"`
	PauseMaxMS    float64   `json:"pause_max_ms"`

	pauses Pauses
}

// Add adds a repetition, and the pauses during it.
func (c *BenchCollector) Add(tps float64, pauses Pauses) {
	c.DecodeSamples = append(c.DecodeSamples, tps)
	c.pauses = c.pauses.Plus(pauses)
}

// Finish sums the repetitions up, given the speeds without forced collections.
func (c *BenchCollector) Finish(samples []float64) {
	c.DecodeTPS, c.DecodeStddev = MeanStddev(c.DecodeSamples)
	c.Cost = 1 - Median(c.DecodeSamples)/Median(samples)
	c.Pauses = c.pauses.Count()
	c.PauseP50MS, c.PauseP99MS, c.PauseMaxMS = 1e3*c.pauses.Quantile(0.5), 1e3*c.pauses.Quantile(0.99), 1e3*c.pauses.Quantile(1)
}

// BenchSettings are the settings that `realm bench` used, defaults included.
type BenchSettings struct {
	PromptTokens  int    `json:"prompt_tokens"`
	DecodeTokens  int    `json:"decode_tokens"`
	Depth         int    `json:"depth"`
	Sessions      int    `json:"sessions"`
	Threads       int    `json:"threads"`
	Repetitions   int    `json:"repetitions"`
	ContextLength int    `json:"context_length"`
	ChunkSize     int    `json:"chunk_size"` // 0 is the engine's default
	CacheType     string `json:"cache_type"`
}

// CacheResult is an element of what `realm cache --json` prints.
type CacheResult struct {
	Name     string `json:"name"`
	Digest   string `json:"digest"`
	Bytes    int64  `json:"bytes"`
	LastUsed string `json:"last_used"` // RFC 3339, UTC
}

// NewCacheResult makes the results of models, an empty list of none.
func NewCacheResult(models []realm.CachedModel) []CacheResult {
	results := []CacheResult{}
	for _, m := range models {
		results = append(results, CacheResult{m.Name, m.Digest, m.Bytes, m.LastUsed.UTC().Format(time.RFC3339)})
	}
	return results
}

// ModelsResult is an element of what `realm ls --json` prints.
type ModelsResult struct {
	Name   string `json:"name"`
	Path   string `json:"path"` // of the first file; empty where the download was interrupted
	Bytes  int64  `json:"bytes"`
	Files  int    `json:"files"`
	SHA256 string `json:"sha256"` // empty for several files
	Pulled string `json:"pulled"` // RFC 3339, UTC; empty where it was not
}

// NewModelsResult makes the results of models, an empty list of none.
func NewModelsResult(models []realm.PulledModel) []ModelsResult {
	results := []ModelsResult{}
	for _, m := range models {
		pulled := ""
		if !m.Pulled.IsZero() {
			pulled = m.Pulled.UTC().Format(time.RFC3339)
		}
		results = append(results, ModelsResult{m.Name, m.Path, m.Bytes, m.Files, m.SHA256, pulled})
	}
	return results
}
