//go:build !purego

#include "textflag.h"

// func rdtscp() uint32
// It returns IA32_TSC_AUX.
TEXT ·rdtscp(SB), NOSPLIT, $0-4
	RDTSCP
	MOVL CX, ret+0(FP)
	RET
