#pragma once

/// Put before a function with a hot loop: the compiler makes one version for each instruction set and the best is taken
/// when the program is loaded. Not under sanitizers, whose run time is not up yet when the choice is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define PLI_SIMD_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define PLI_SIMD_CLONES
#endif
