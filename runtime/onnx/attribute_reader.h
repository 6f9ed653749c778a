#pragma once

#include "runtime/ir/graph.h"
#include "runtime/onnx/proto.h"
#include "runtime/onnx/tensor_proto.h"

#include <pli/limits.h>

#include <functional>

namespace pli {

/// Takes an attribute apart. What it holds beside name and value, and values that the IR does not know, end in `extra`.
/// Only `in_function` may it refer to an attribute of the function. kInvalidModel when it does so elsewhere, and when
/// the content is not that of the attribute's declared type.
ir::Attribute read_attribute(onnx::AttributeProto& proto, const Limits& limits, const SharedPayloads& shared,
                             bool in_function, const std::function<ir::Subgraph(onnx::GraphProto&)>& read_nested);

}  // namespace pli
