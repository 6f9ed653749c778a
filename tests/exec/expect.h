#pragma once

#include "runtime/ops/evaluate.h"

#include <pli/session.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

namespace pli::test {

inline SessionOptions options(bool fuse, int threads = 1) {
  SessionOptions made;
  made.fuse = fuse;
  made.threads = threads;
  return made;
}

inline ErrorCode code_of(const std::function<void()>& body, std::string* text = nullptr) {
  try {
    body();
  } catch (const Error& e) {
    if (text) *text = e.what();
    return e.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

inline void expect_equal(const NamedValues& a, const NamedValues& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, value] : a) {
    const Value& other = b.at(name);
    ASSERT_TRUE(std::ranges::equal(value.shape(), other.shape())) << name;
    double square = 0;
    for (const float v : other.data<float>()) square += static_cast<double>(v) * v;
    const double rms = std::sqrt(square / std::max<double>(1, static_cast<double>(other.data<float>().size())));
    for (size_t i = 0; i < value.data<float>().size(); ++i)
      ASSERT_NEAR(value.data<float>()[i], other.data<float>()[i], 1e-4 * rms + 1e-6) << name << " element " << i;
  }
}

/// The graph node by node on row-major tensors: no plan, no layouts, no views, no fusion.
inline NamedValues run_each_node(const ir::Graph& graph, const NamedValues& inputs) {
  std::map<ir::ValueId, Tensor> values;
  for (const ir::ValueId id : graph.inputs()) values[id] = inputs.at(graph.name(id)).tensor();
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node& node = graph.node(id);
    std::vector<const Tensor*> operands;
    for (const ir::ValueId input : node.inputs)
      operands.push_back(!input ? nullptr : graph.constant_of(input) ? graph.constant_of(input) : &values.at(input));
    std::vector<Tensor> results = ops::evaluate(graph, node, operands, Limits{});
    for (size_t i = 0; i < results.size(); ++i)
      if (node.outputs[i]) values[node.outputs[i]] = std::move(results[i]);
  }
  NamedValues outputs;
  for (const ir::Output& output : graph.outputs()) outputs.add(output.name, values.at(output.value));
  return outputs;
}

}  // namespace pli::test
