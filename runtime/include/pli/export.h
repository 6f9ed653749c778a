#pragma once

#if __cplusplus < 202002L
#error "Pli's headers need C++20: compile with -std=c++20"
#endif

/// Marks what the shared library exports; everything else in it is hidden.
#define PLI_API __attribute__((visibility("default")))
