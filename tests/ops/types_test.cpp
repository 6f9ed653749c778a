// Every operator that computes on float32 takes float16, bfloat16 and float64.

#include "runtime/compute/halves.h"
#include "tests/ops/op_test.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>

namespace pli::test {
namespace {

using Inputs = std::vector<std::optional<Tensor>>;

/// How an operator is called. Float inputs are given in float32; those of other types stay.
struct Call {
  Inputs inputs;
  std::vector<ir::Attribute> attributes = {};
  bool sums = false;  // a result is made of many terms, in an order that differs between types
};

/// The edges of float16, and some numbers in between.
Tensor edges() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> values{0.0f,        -0.0f,     65504.0f,   -65504.0f,     0x1p-14f, -0x1p-14f, 0x1p-24f,
                            -0x1.8p-23f, kInfinity, -kInfinity, std::nanf(""), 1.0f,     -1.0f,     0.333251953125f};
  const Tensor more = random_tensor({46}, 7, -4, 4);
  values.insert(values.end(), more.data<float>().begin(), more.data<float>().end());
  return tensor<float>({3, 4, 5}, values);
}

Tensor image(uint32_t seed = 1) { return random_tensor({2, 6, 7, 8}, seed); }
Tensor positive(const Shape& shape, uint32_t seed) { return random_tensor(shape, seed, 0.5f, 2); }
Tensor one_int(int64_t value) { return int64_tensor(std::vector<int64_t>{value}); }

const std::map<std::string, std::function<Call()>>& calls() {
  const auto vector = [](uint32_t seed) { return random_tensor({6}, seed); };
  const auto of_two = [] { return Call{{edges(), random_tensor({4, 1}, 3, -3, 3)}}; };
  const auto pool = [] { return Call{{image()}, {ints("kernel_shape", {3, 2})}, true}; };
  const auto reduction = [] { return Call{{image()}, {}, true}; };
  const auto whole = [] { return Call{{image()}, {}, true}; };
  static const std::map<std::string, std::function<Call()>> all{
      {"BatchNormalization",
       [=] {
         return Call{{image(), vector(2), vector(3), vector(4), positive({6}, 5)}, {}, true};
       }},
      {"Conv",
       [=] {
         return Call{{image(), random_tensor({4, 6, 3, 2}, 2), random_tensor({4}, 3)}, {}, true};
       }},
      {"ConvTranspose",
       [=] {
         return Call{{image(), random_tensor({6, 4, 3, 2}, 2), random_tensor({4}, 3)}, {}, true};
       }},
      {"Gemm",
       [] {
         return Call{{random_tensor({5, 7}, 1), random_tensor({7, 9}, 2), random_tensor({9}, 3)}, {}, true};
       }},
      {"MatMul",
       [] {
         return Call{{random_tensor({3, 5, 7}, 1), random_tensor({7, 9}, 2)}, {}, true};
       }},
      {"InstanceNormalization",
       [=] {
         return Call{{image(), vector(2), vector(3)}, {}, true};
       }},
      {"LayerNormalization",
       [] {
         return Call{{image(), random_tensor({8}, 2), random_tensor({8}, 3)}, {}, true};
       }},
      {"GroupNormalization",
       [=] {
         return Call{{image(), vector(2), vector(3)}, {attribute("num_groups", 3)}, true};
       }},
      {"LRN",
       [] {
         return Call{{image()}, {attribute("size", 3)}, true};
       }},
      {"LpNormalization", reduction},
      {"MeanVarianceNormalization", reduction},
      {"Softmax", whole},
      {"LogSoftmax", whole},
      {"Hardmax", whole},
      {"MaxPool", pool},
      {"AveragePool", pool},
      {"LpPool", pool},
      {"GlobalAveragePool", whole},
      {"GlobalMaxPool", whole},
      {"GlobalLpPool", whole},
      {"MaxUnpool",
       [] {
         return Call{{tensor<float>({1, 1, 1, 2}, {1.5f, -2}), tensor<int64_t>({1, 1, 1, 2}, {1, 2})},
                     {ints("kernel_shape", {2, 2}), ints("strides", {2, 2})}};
       }},
      {"Resize",
       [] {
         return Call{{image(), std::nullopt, tensor<float>({4}, {1, 1, 1.5f, 2})}, {attribute("mode", "linear")}, true};
       }},
      {"Upsample",
       [] {
         return Call{{image(), tensor<float>({4}, {1, 1, 1.5f, 2})}, {attribute("mode", "linear")}, true};
       }},
      {"Scatter",
       [] {
         return Call{{image(), tensor<int64_t>({1, 1, 1, 2}, {1, 0}), random_tensor({1, 1, 1, 2}, 3)}};
       }},
      {"ScatterElements",
       [] {
         return Call{{image(), tensor<int64_t>({1, 1, 1, 2}, {1, 0}), random_tensor({1, 1, 1, 2}, 3)},
                     {attribute("reduction", "add")}};
       }},
      {"ScatterND",
       [] {
         return Call{{random_tensor({4, 3}, 1), tensor<int64_t>({2, 1}, {3, 3}), random_tensor({2, 3}, 2)},
                     {attribute("reduction", "mul")}};
       }},
      {"TopK",
       [] {
         return Call{{image(), one_int(3)}};
       }},
      {"CumSum",
       [] {
         return Call{{image(), tensor<int64_t>({}, {2})}, {}, true};
       }},
      {"Clip",
       [] {
         return Call{{edges(), tensor<float>({}, {-2}), tensor<float>({}, {3})}};
       }},
      {"OneHot",
       [] {
         return Call{{tensor<float>({3}, {1, 0, 4}), tensor<int64_t>({}, {5}), tensor<float>({2}, {-1.5f, 65504})}};
       }},
      {"Range",
       [] {
         return Call{{tensor<float>({}, {1}), tensor<float>({}, {9}), tensor<float>({}, {1.5f})}};
       }},
      {"Mod",
       [] {
         return Call{{edges(), random_tensor({4, 1}, 3, 1, 3)}, {attribute("fmod", 1)}};
       }},
      {"Acosh",
       [] {
         return Call{{positive({2, 3}, 1)}};
       }},
  };
  static const std::map<std::string, std::function<Call()>> with_families = [=] {
    auto result = all;
    for (const char* name : {"Add", "Sub", "Mul", "Div", "Pow", "PRelu", "Max", "Min", "Mean", "Sum", "Equal",
                             "Greater", "GreaterOrEqual", "Less", "LessOrEqual"})
      result[name] = of_two;
    for (const char* name : {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
                             "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "ArgMax", "ArgMin"})
      result[name] = reduction;
    return result;
  }();
  return with_families;
}

/// The newest version of each operator that computes on halves. QuantizeLinear, which gives integers and takes no
/// float64, has tests of its own.
std::vector<const ops::Operator*> computing_operators() {
  std::map<std::string_view, const ops::Operator*> newest;
  for (const ops::Operator* op : ops::operators())
    if (op->computes_wide() && op->type != "QuantizeLinear") newest[op->type] = op;
  std::vector<const ops::Operator*> list;
  for (const auto& [type, op] : newest) list.push_back(op);
  return list;
}

/// The first output; a failure that names the node when it can't be run.
Tensor result_of(const NodeCase& node) {
  try {
    return run(node).at(0);
  } catch (const Error& e) {
    ADD_FAILURE() << node.op_type << " on " << to_string(node.inputs[0]->dtype()) << ": " << e.what();
    return {};
  }
}

NodeCase node_of(const ops::Operator& op, DataType dtype) {
  const auto found = calls().find(std::string(op.type));
  const Call call = found != calls().end() ? found->second() : Call{{edges()}};
  NodeCase node{std::string(op.type), std::min<int64_t>(op.until, ops::kNewestOpset), {}, call.attributes};
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const auto& input = call.inputs[i];
    const bool scales = (op.type == "Resize" && i == 2) || (op.type == "Upsample" && i == 1);
    node.inputs.push_back(input && input->dtype() == DataType::kFloat32 && !scales ? as(*input, dtype) : input);
  }
  return node;
}

class HalfTypes : public testing::TestWithParam<DataType> {};
INSTANTIATE_TEST_SUITE_P(Types, HalfTypes, testing::Values(DataType::kFloat16, DataType::kBfloat16),
                         [](const auto& type) { return to_string(type.param); });

/// What float32 gives of the same numbers, rounded once.
TEST_P(HalfTypes, AreComputedInFloat32AndRoundedOnce) {
  for (const ops::Operator* op : computing_operators()) {
    SCOPED_TRACE(op->type);
    const NodeCase node = node_of(*op, GetParam());
    NodeCase wide = node;
    for (auto& input : wide.inputs)
      if (input && input->dtype() == GetParam()) input = compute::widened(*input);
    const Tensor result = result_of(node), exact = result_of(wide);
    if (exact.dtype() != DataType::kFloat32) {
      EXPECT_TRUE(identical(result, exact));
      continue;
    }
    ASSERT_EQ(result.dtype(), GetParam());
    EXPECT_TRUE(identical(result, compute::narrowed(exact, GetParam())));
  }
}

/// An independent computation in double of the same numbers: within half a unit of the last place, but for what float32
/// itself loses.
TEST_P(HalfTypes, AreAsNearToDoubleAsTheyCanBe) {
  for (const ops::Operator* op : computing_operators()) {
    SCOPED_TRACE(op->type);
    const NodeCase node = node_of(*op, GetParam());
    NodeCase wide = node;
    for (auto& input : wide.inputs)
      if (input && input->dtype() == GetParam()) input = as(*input, DataType::kFloat64);
    const Tensor result = result_of(node), exact = result_of(wide);
    if (exact.dtype() != DataType::kFloat64) {
      EXPECT_TRUE(identical(result, exact));
      continue;
    }
    const std::vector<double> expected = to_doubles(as(exact, GetParam()));
    const double roundoff = tolerance_of(GetParam()) / 2, least = GetParam() == DataType::kFloat16 ? 0x1p-24 : 1e-6;
    expect_near(result, Shape(exact.shape().begin(), exact.shape().end()), expected, 2.01 * roundoff, 2 * least);
  }
}

TEST(Float64, IsComputedInFloat64) {
  for (const ops::Operator* op : computing_operators()) {
    SCOPED_TRACE(op->type);
    if (op->type == "Hardmax" || op->type == "OneHot" || op->type == "Range") continue;  // nothing is rounded in them
    const Tensor narrow = result_of(node_of(*op, DataType::kFloat32)),
                 result = result_of(node_of(*op, DataType::kFloat64));
    if (narrow.dtype() != DataType::kFloat32) continue;
    ASSERT_EQ(result.dtype(), DataType::kFloat64);
    expect_near(narrow, Shape(result.shape().begin(), result.shape().end()), to_doubles(as(result, DataType::kFloat32)),
                2e-5, 2e-6);
  }
}

TEST(Halves, AreConvertedAsOneByOne) {
  std::vector<Float16> all;
  for (uint32_t bits = 0; bits < 65536; ++bits) all.push_back({static_cast<uint16_t>(bits)});
  std::vector<float> wide(all.size());
  compute::widen(all.data(), wide.data(), static_cast<int64_t>(all.size()) - 3);
  compute::widen(all.data() + all.size() - 3, wide.data() + all.size() - 3, 3);
  for (size_t i = 0; i < all.size(); ++i) {
    const float expected = to_float(all[i]);
    EXPECT_TRUE(wide[i] == expected ? std::signbit(wide[i]) == std::signbit(expected)
                                    : std::isnan(wide[i]) && std::isnan(expected))
        << i;
  }
  std::vector<Float16> back(all.size());
  compute::narrow(wide.data(), back.data(), static_cast<int64_t>(all.size()));
  for (size_t i = 0; i < all.size(); ++i)  // of NaN the payload stays; it is a quiet one then
    EXPECT_EQ(back[i].bits, std::isnan(wide[i]) ? all[i].bits | 0x200 : all[i].bits);
  std::vector<float> numbers;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 65521) {
    float value = 0;
    const auto word = static_cast<uint32_t>(bits);
    std::memcpy(&value, &word, sizeof(value));
    if (!std::isnan(value)) numbers.push_back(value);
  }
  for (const float half : wide)  // and what lies in the middle between two
    if (std::isfinite(half)) numbers.push_back(half * (1 + 0x1p-11f));
  std::vector<Float16> halves(numbers.size());
  std::vector<Bfloat16> brains(numbers.size());
  compute::narrow(numbers.data(), halves.data(), static_cast<int64_t>(numbers.size()));
  compute::narrow(numbers.data(), brains.data(), static_cast<int64_t>(numbers.size()));
  for (size_t i = 0; i < numbers.size(); ++i) {
    EXPECT_EQ(halves[i].bits, to_float16(static_cast<double>(numbers[i])).bits) << numbers[i];
    EXPECT_EQ(brains[i].bits, to_bfloat16(static_cast<double>(numbers[i])).bits) << numbers[i];
  }
}

}  // namespace
}  // namespace pli::test
