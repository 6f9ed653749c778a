// The ONNX project's own test cases of single operators, through ops::evaluate, node after node.

#include "runtime/core/error.h"
#include "runtime/onnx/load.h"
#include "runtime/onnx/tensor_file.h"
#include "runtime/ops/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

namespace pli {
namespace {

namespace fs = std::filesystem;

constexpr double kRelative = 1e-3;
constexpr double kRelativeBfloat16 = 0x1p-7;  // one unit: the files were made by cutting off, not by rounding
constexpr double kAbsolute = 1e-7;

/// The tensor in a file. What the model declares as bfloat16 the files keep as its bits in uint16. kUnsupported for
/// other values.
Tensor read_tensor(const fs::path& path, const std::string& declaration, const ir::Type& declared) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const Value value = parse_value(std::as_bytes(std::span(bytes)), declared_file_kind(declaration), {}).second;
  if (!value.is_tensor()) fail(ErrorCode::kUnsupported, "a value that is no tensor");
  const Tensor& tensor = value.tensor();
  const bool as_bits = declared.dtype == DataType::kBfloat16 && tensor.dtype() == DataType::kUint16;
  return as_bits ? bits_as(tensor, DataType::kBfloat16) : tensor;
}

/// What differs, or nothing.
std::optional<std::string> difference(const Tensor& found, const Tensor& expected) {
  const auto describe = [](const Tensor& tensor) {
    return fmt::format("{} {}", to_string(tensor.dtype()), to_string(tensor.shape()));
  };
  if (found.dtype() != expected.dtype() || !std::ranges::equal(found.shape(), expected.shape()))
    return fmt::format("{} where {} is expected", describe(found), describe(expected));
  if (!is_float(expected.dtype()))
    return identical(found, expected) ? std::nullopt : std::optional<std::string>("elements differ");
  const auto a = to_doubles(found), b = to_doubles(expected);
  const double relative = expected.dtype() == DataType::kBfloat16 ? kRelativeBfloat16 : kRelative;
  for (size_t i = 0; i < a.size(); ++i) {
    const bool equal = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    if (!equal && !(std::abs(a[i] - b[i]) <= kAbsolute + relative * std::abs(b[i])))
      return fmt::format("element {}: {} where {} is expected", i, a[i], b[i]);
  }
  return std::nullopt;
}

/// The outputs of a graph. kUnsupported where a node, or a value that is no tensor, is.
std::vector<Tensor> run_graph(const ir::Graph& graph, const std::vector<Tensor>& inputs) {
  std::map<ir::ValueId, Tensor> values;
  for (size_t i = 0; i < inputs.size(); ++i) values.emplace(graph.inputs()[i], inputs[i]);
  const auto find = [&](ir::ValueId id) -> const Tensor* {
    const auto found = values.find(id);
    return found != values.end() ? &found->second : graph.constant_of(id);
  };
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node& node = graph.node(id);
    std::vector<const Tensor*> operands;
    for (const ir::ValueId input : node.inputs) {
      operands.push_back(input ? find(input) : nullptr);
      if (input && !operands.back()) fail(ErrorCode::kUnsupported, "a value that is no tensor");
    }
    const std::vector<Tensor> results = ops::evaluate(graph, node, operands, {});
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i]) values.insert_or_assign(node.outputs[i], results.at(i));
  }
  std::vector<Tensor> outputs;
  for (const ir::Output& output : graph.outputs()) {
    const Tensor* value = find(output.value);
    if (!value) fail(ErrorCode::kUnsupported, "a value that is no tensor");
    outputs.push_back(*value);
  }
  return outputs;
}

void run_data_set(const ir::Graph& graph, const fs::path& folder) {
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    const ir::ValueRecord& input = graph.value(graph.inputs()[i]);
    inputs.push_back(read_tensor(folder / fmt::format("input_{}.pb", i), input.extra, input.type));
  }
  const std::vector<Tensor> outputs = run_graph(graph, inputs);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto& [name, value, type, extra] = graph.outputs()[i];
    const auto wrong = difference(outputs[i], read_tensor(folder / fmt::format("output_{}.pb", i), extra, type));
    EXPECT_FALSE(wrong) << folder << " output " << i << ": " << *wrong;
  }
}

/// Cases of ONNX 1.17 that are no longer what ONNX means. An average over dilated windows beyond the padding: its
/// reference of 1.23, and ONNX Runtime 1.32, give what we give. Zero points of another shape than their scales.
const std::set<std::string> kRevised{"test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True",
                                     "test_quantizelinear_e4m3fn", "test_quantizelinear_e5m2"};

/// Runs every data set. Why it is unsupported, or nothing.
std::optional<std::string> run_case(const fs::path& folder) {
  if (kRevised.contains(folder.filename())) return "revised since";
  try {
    const ir::Model model = load_model(folder / "model.onnx", {});
    int sets = 0;
    for (; fs::exists(folder / fmt::format("test_data_set_{}", sets)); ++sets)
      run_data_set(model.graph, folder / fmt::format("test_data_set_{}", sets));
    EXPECT_GT(sets, 0) << folder;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnsupported) return error.what();
    ADD_FAILURE() << folder << ": " << to_string(error.code()) << ": " << error.what();
  }
  return std::nullopt;
}

TEST(OnnxNodeTests, PassOrAreUnsupported) {
  int passed = 0, failed = 0;
  std::map<std::string, std::vector<std::string>> unsupported;  // by reason
  for (const auto& entry : fs::directory_iterator(fs::path(PLI_TESTDATA) / "node")) {
    const auto* result = testing::UnitTest::GetInstance()->current_test_info()->result();
    const int before = result->total_part_count();
    if (const auto why = run_case(entry.path()))
      unsupported[*why].push_back(entry.path().filename());
    else if (result->total_part_count() == before)
      ++passed;
    else
      ++failed;
  }
  size_t skipped = 0;
  for (const auto& [why, names] : unsupported) {
    skipped += names.size();
    std::cout << fmt::format("{:4}  {}  ({}{})\n", names.size(), why, names.front(), names.size() > 1 ? ", ..." : "");
  }
  std::cout << fmt::format("ONNX node tests: {} passed, {} unsupported, {} failed\n", passed, skipped, failed);
  EXPECT_GE(passed, 700);
}

}  // namespace
}  // namespace pli
