#pragma once

/// Pli: loads an ONNX model, folds its BatchNormalizations into the weights before them, and runs it on CPUs.

#include <pli/export.h>

#if __cplusplus >= 202002L  // else the message of that one is all there is to say
#include <pli/dtype.h>
#include <pli/error.h>
#include <pli/limits.h>
#include <pli/model.h>
#include <pli/optimize.h>
#include <pli/session.h>
#include <pli/tensor.h>
#include <pli/tensor_file.h>
#include <pli/value.h>
#include <pli/version.h>
#endif
