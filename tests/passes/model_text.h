#pragma once

#include "runtime/ir/graph.h"

#include <string>

namespace pli::test {

/// A model from ONNX's textual syntax, which libonnx parses and Pli loads. It imports operator set 17, unless it begins
/// with a list of its own. Each node is named after its first output. What the list behind the signature names without
/// a value, and no node makes, becomes a weight of seeded random numbers; those that are variances or scales of
/// integers are above zero. std::runtime_error when it is not in that syntax.
ir::Model model_of(const std::string& text);

/// A graph in the same syntax, its constants in the list behind the signature. Numbers are shown where they are few and
/// short, which random ones are not.
std::string text_of(const ir::Graph& graph, const std::string& name);

}  // namespace pli::test
