// Element types that a plan holds otherwise than the graph says: halves as float32, strings as their addresses.

#include "runtime/compute/halves.h"
#include "runtime/core/tensor.h"
#include "runtime/exec/executor.h"
#include "tests/exec/expect.h"
#include "tests/exec/network.h"

#include <cmath>

namespace pli::test {
namespace {

using exec::Executor;
using ir::ValueId;

Tensor as(const Tensor& tensor, DataType dtype) {
  return from_doubles(dtype, Shape(tensor.shape().begin(), tensor.shape().end()), to_doubles(tensor));
}

/// A network in `dtype` whose constants are the same numbers, as near as the type has them.
class TypedNetwork : public Network {
 public:
  explicit TypedNetwork(DataType dtype) : Network(15), dtype_(dtype) {}

  ValueId typed_input(std::string name, std::vector<ir::Dim> dims) {
    return input(std::move(name), std::move(dims), dtype_);
  }
  ValueId constant(Shape shape) { return graph.add_constant(as(tensor(std::move(shape)), dtype_), "constant"); }

 private:
  DataType dtype_;
};

/// x -> Conv -> Relu -> Transpose -> Concat with what x itself is -> MatMul -> Softmax, and on the way an integer.
TypedNetwork mixed_network(DataType dtype) {
  TypedNetwork net(dtype);
  const ValueId x = net.typed_input("x", {2, 3, 8, 8});
  const ValueId conv = net.node("Conv", {x, net.constant({5, 3, 3, 3}), net.constant({5})},
                                {{"pads", std::vector<int64_t>{1, 1, 1, 1}, {}}});
  const ValueId both = net.node("Concat", {net.node("Relu", {conv}), x}, {{"axis", int64_t{1}, {}}});
  const ValueId turned = net.node("Transpose", {both}, {{"perm", std::vector<int64_t>{0, 2, 3, 1}, {}}});
  const ValueId product = net.node("MatMul", {turned, net.constant({8, 6})});
  net.output("scores", net.node("Softmax", {product}, {{"axis", int64_t{-1}, {}}}));
  net.output("best", net.node("ArgMax", {product}, {{"axis", int64_t{-1}, {}}}));
  net.output("turned", turned);
  return net;
}

TEST(Halves, RunAsFloat32Does) {
  for (const DataType dtype : {DataType::kFloat16, DataType::kBfloat16}) {
    TypedNetwork net = mixed_network(dtype);
    const Tensor x = as(net.tensor({2, 3, 8, 8}), dtype);
    TypedNetwork wide = mixed_network(DataType::kFloat32);
    for (const ValueId id : wide.graph.initializers())
      wide.graph.set_constant(id, compute::widened(*net.graph.constant_of(id)));
    const Tensor exact = Executor(wide.graph, options(true)).run({{"x", compute::widened(x)}}).at("scores").tensor();
    for (const bool fuse : {true, false})
      for (const bool between : {true, false}) {
        SessionOptions made = options(fuse);
        made.float32_between_steps = between;
        const NamedValues outputs = Executor(net.graph, made).run({{"x", x}});
        const Tensor scores = outputs.at("scores").tensor();
        ASSERT_EQ(scores.dtype(), dtype);
        EXPECT_EQ(outputs.at("turned").dtype(), dtype);
        EXPECT_EQ(outputs.at("best").dtype(), DataType::kInt64);
        const double roundoff = dtype == DataType::kFloat16 ? 0x1p-11 : 0x1p-8;
        const std::vector<double> found = to_doubles(scores), wanted = to_doubles(exact);
        for (size_t i = 0; i < found.size(); ++i)
          EXPECT_NEAR(found[i], wanted[i], (fuse && between ? 1.01 : 12) * roundoff * wanted[i] + 1e-6) << i;
      }
  }
}

TEST(Halves, AreRoundedByEachStepWhereThatIsAsked) {
  // 2048 + 1 is no float16; rounded, the sum stays 2048, and twice.
  Network net(15);
  const ValueId x = net.input("x", {1}, DataType::kFloat16);
  const ValueId one = net.graph.add_constant(from_doubles(DataType::kFloat16, {1}, std::vector{1.0}), "one");
  const ValueId sum = net.node("Add", {net.node("Add", {x, one}), one});
  net.output("y", sum);
  const Tensor given = from_doubles(DataType::kFloat16, {1}, std::vector{2048.0});
  const auto result = [&](bool fuse, bool between) {
    SessionOptions made = options(fuse);
    made.float32_between_steps = between;
    const Tensor y = Executor(net.graph, made).run({{"x", given}}).at("y").tensor();
    return to_doubles(y)[0];
  };
  EXPECT_EQ(result(true, true), 2050);
  EXPECT_EQ(result(true, false), 2048);
  EXPECT_EQ(result(false, true), 2048);
}

TEST(Halves, ACastRoundsAlways) {
  Network net(15);
  const ValueId x = net.input("x", {3});
  const ValueId half = net.node("Cast", {x}, {{"to", int64_t{10}, {}}});
  net.output("y", net.node("Cast", {net.node("Identity", {half})}, {{"to", int64_t{1}, {}}}));
  const Tensor given = Tensor::copy<float>({3}, std::vector<float>{1.0002441f, 65519, 65520});
  const Tensor y = Executor(net.graph, options(true)).run({{"x", given}}).at("y").tensor();
  EXPECT_EQ(to_doubles(y), (std::vector<double>{1, 65504, std::numeric_limits<double>::infinity()}));
}

TEST(Halves, ACastOfWhatIsBeyondTheRangeMeetsInfinity) {
  Network net(15);
  const ValueId x = net.input("x", {1}, DataType::kFloat16);
  const ValueId sum = net.node("Add", {x, x});
  const auto cast = [&](ValueId value, DataType to) {
    return net.node("Cast", {value}, {{"to", static_cast<int64_t>(to), {}}});
  };
  net.output("wide", cast(sum, DataType::kFloat32));
  net.output("twice", cast(cast(sum, DataType::kFloat16), DataType::kFloat32));
  net.output("whole", cast(sum, DataType::kInt64));
  const Tensor given = from_doubles(DataType::kFloat16, {1}, std::vector{60000.0});
  const NamedValues outputs = Executor(net.graph, options(true)).run({{"x", given}});
  for (const char* name : {"wide", "twice"}) EXPECT_TRUE(std::isinf(outputs.at(name).data<float>()[0])) << name;
  EXPECT_EQ(outputs.at("whole").data<int64_t>()[0], INT64_MAX);
}

TEST(Halves, ACastToATypeThatIsNotComputedIsOneClearLine) {
  Network net(19);
  net.output("y", net.node("Cast", {net.input("x", {3})}, {{"to", int64_t{17}, {}}}));
  std::string text;
  EXPECT_EQ(code_of(
                [&] {
                  Executor(net.graph, options(true)).run({{"x", net.tensor({3})}});
                },
                &text),
            ErrorCode::kUnsupported);
  EXPECT_NE(text.find("Cast"), std::string::npos) << text;
  EXPECT_NE(text.find("float8e4m3fn"), std::string::npos) << text;
}

TEST(Halves, ParametersMayBeOfAnotherType) {
  for (const DataType dtype : {DataType::kFloat16, DataType::kBfloat16, DataType::kFloat32, DataType::kFloat64})
    for (const DataType parameter : {DataType::kFloat32, DataType::kFloat64, DataType::kFloat16, DataType::kBfloat16}) {
      Network net(15);
      const ValueId x = net.input("x", {2, 3, 4}, dtype);
      std::vector<ValueId> inputs{x};
      NamedValues values{{"x", as(net.tensor({2, 3, 4}), dtype)}};
      for (const char* name : {"scale", "bias", "mean", "variance"}) {
        inputs.push_back(net.input(name, {3}, parameter));
        Tensor numbers = net.tensor({3});
        for (float& number : numbers.mutable_data<float>()) number = std::abs(number) + 0.5f;
        values.add(name, as(numbers, parameter));
      }
      net.output("y", net.node("BatchNormalization", inputs));
      const Tensor y = Executor(net.graph, options(true)).run(values).at("y").tensor();
      ASSERT_EQ(y.dtype(), dtype);
      const auto numbers = [&](const char* name) { return to_doubles(values.at(name).tensor()); };
      const std::vector<double> data = numbers("x"), found = to_doubles(y);
      for (size_t i = 0; i < found.size(); ++i) {
        const size_t c = i / 4 % 3;
        const double expected = numbers("scale")[c] * (data[i] - numbers("mean")[c]) /
                                    std::sqrt(numbers("variance")[c] + static_cast<double>(1e-5f)) +
                                numbers("bias")[c];
        EXPECT_NEAR(found[i], expected,
                    dtype == DataType::kBfloat16  ? 2e-2
                    : dtype == DataType::kFloat16 ? 2e-3
                                                  : 1e-5);
      }
    }
}

TEST(Halves, TakeNoMoreMemoryForWeightsThanFloat32) {
  for (const DataType dtype : {DataType::kFloat32, DataType::kFloat16}) {
    TypedNetwork net(dtype);
    const ValueId x = net.typed_input("x", {1, 64, 9, 9});
    net.output("y", net.node("Conv", {x, net.constant({64, 64, 5, 5})}));
    const Executor executor(net.graph, options(true));
    const auto plan = executor.plan({{"x", as(net.tensor({1, 64, 9, 9}), dtype)}});
    int64_t bytes = 0;
    for (const Tensor& constant : plan->constants) bytes += static_cast<int64_t>(constant.bytes().size());
    EXPECT_LE(bytes, 64 * 64 * 25 * bit_width(dtype) / 8) << "what was widened to be packed is gone";
    EXPECT_EQ(executor.packed_weight_bytes(), 64 * 64 * 25 * 4);
  }
}

/// A weight and its memory seen in another shape have forms of their own.
TEST(Weights, InTwoShapesArePackedTwice) {
  for (const DataType dtype : {DataType::kFloat32, DataType::kFloat64}) {
    const auto results = [&](bool shares_memory, bool reshaped_first) {
      TypedNetwork net(dtype);
      const ValueId x = net.typed_input("x", {1, 20, 24, 24}), z = net.typed_input("z", {1, 32, 24, 24});
      const Tensor weight = as(net.tensor({32, 20, 3, 3}), dtype);
      const NamedValues inputs{{"x", as(net.tensor({1, 20, 24, 24}), dtype)},
                               {"z", as(net.tensor({1, 32, 24, 24}), dtype)}};
      const ValueId w = net.graph.add_constant(weight, "weight");
      const ValueId other = shares_memory ? net.node("Reshape", {w, net.ints({20, 32, 3, 3})})
                                          : net.graph.add_constant(deep_copy(weight).reshaped({20, 32, 3, 3}), "other");
      const auto make = [&](bool reshaped) {
        return reshaped ? net.node("Conv", {z, other}) : net.node("Conv", {x, w});
      };
      const ValueId first = make(reshaped_first), second = make(!reshaped_first);
      net.output("a", reshaped_first ? second : first);
      net.output("b", reshaped_first ? first : second);
      const NamedValues outputs = Executor(net.graph, options(true)).run(inputs);
      std::vector<double> all = to_doubles(outputs.at("a").tensor());
      const std::vector<double> more = to_doubles(outputs.at("b").tensor());
      all.insert(all.end(), more.begin(), more.end());
      return all;
    };
    const std::vector<double> expected = results(false, false);
    for (const bool reshaped_first : {false, true}) EXPECT_EQ(results(true, reshaped_first), expected);
  }
}

// --- strings ---------------------------------------------------------------------------------------------------------

Tensor strings(Shape shape, const std::vector<std::string>& values) {
  return Tensor::copy<std::string>(std::move(shape), std::span<const std::string>(values));
}

std::vector<std::string> text_of(const Value& value) {
  const auto texts = value.data<std::string>();
  return {texts.begin(), texts.end()};
}

TEST(Strings, Move) {
  Network net(15);
  const ValueId words = net.input("words", {ir::Dim("n"), 2}, DataType::kString);
  const ValueId names =
      net.graph.add_constant(strings({1, 2}, {"a long name that has memory of its own", "b"}), "names");
  const ValueId joined = net.node("Concat", {words, names}, {{"axis", int64_t{0}, {}}});
  net.output("joined", joined);
  net.output("turned", net.node("Transpose", {joined}));
  net.output("picked", net.node("Gather", {joined, net.ints({-1, 0})}));
  net.output("flat", net.node("Reshape", {words, net.ints({-1})}));
  net.output("padded", net.node("Pad", {names, net.ints({0, 1, 0, 0})}));
  net.output("same", words);
  net.output("names", names);
  const Executor executor(net.graph, options(true));
  const std::string zoo = "a zoo of animals, each with a cage";
  const NamedValues outputs = executor.run({{"words", strings({2, 2}, {"x", zoo, "", "w"})}});
  const std::string a = "a long name that has memory of its own";
  EXPECT_EQ(text_of(outputs.at("joined")), (std::vector<std::string>{"x", zoo, "", "w", a, "b"}));
  EXPECT_EQ(text_of(outputs.at("turned")), (std::vector<std::string>{"x", "", a, zoo, "w", "b"}));
  EXPECT_EQ(text_of(outputs.at("picked")), (std::vector<std::string>{a, "b", "x", zoo}));
  EXPECT_EQ(text_of(outputs.at("flat")), (std::vector<std::string>{"x", zoo, "", "w"}));
  EXPECT_EQ(text_of(outputs.at("padded")), (std::vector<std::string>{"", a, "b"}));
  EXPECT_EQ(text_of(outputs.at("same")), (std::vector<std::string>{"x", zoo, "", "w"}));
  EXPECT_EQ(text_of(outputs.at("names")), (std::vector<std::string>{a, "b"}));
  EXPECT_EQ(outputs.at("turned").dtype(), DataType::kString);
}

TEST(Strings, GoThroughAnIf) {
  Network net(15);
  const ValueId words = net.input("words", {2}, DataType::kString);
  const ValueId condition = net.input("condition", {}, DataType::kBool);
  const auto branch = [&](size_t copies) {
    ir::Graph body(net.graph.opsets());
    const ValueId inner = body.add_capture("words", net.graph.type(words));
    const ir::NodeId node = body.add_node(
        {"Concat", "", "", std::vector<ValueId>(copies, inner), {{"result", {}, {}}}, {{"axis", int64_t{0}, {}}}, {}});
    body.add_output({"result", body.node(node).outputs[0], ir::Type::tensor(DataType::kString), {}});
    return ir::Subgraph{std::make_shared<const ir::Graph>(std::move(body)), {words}};
  };
  const ValueId result = net.node("If", {condition}, {{"then_branch", branch(1), {}}, {"else_branch", branch(2), {}}});
  net.graph.set_type(result, ir::Type::tensor(DataType::kString));
  net.output("y", result);
  const Executor executor(net.graph, options(true));
  for (const bool value : {true, false}) {
    Tensor chosen(DataType::kBool, {});
    chosen.mutable_data<bool>()[0] = value;
    const NamedValues outputs = executor.run({{"words", strings({2}, {"a", "b"})}, {"condition", chosen}});
    EXPECT_EQ(text_of(outputs.at("y")).size(), value ? 2u : 4u);
  }
}

TEST(Strings, AreNotComputedWith) {
  Network net(18);
  const ValueId words = net.input("words", {2}, DataType::kString);
  net.output("y", net.node("Add", {words, words}));
  std::string text;
  EXPECT_EQ(code_of([&] { Executor(net.graph, options(true)); }, &text), ErrorCode::kUnsupported);
  EXPECT_NE(text.find("operator Add on string"), std::string::npos) << text;

  Network scatter(18);
  const ValueId data = scatter.input("words", {2}, DataType::kString);
  scatter.output("y",
                 scatter.node("ScatterElements", {data, scatter.ints({1}), scatter.input("u", {1}, DataType::kString)},
                              {{"reduction", std::string("add"), {}}}));
  const auto run = [&] {
    Executor(scatter.graph, options(true)).run({{"words", strings({2}, {"a", "b"})}, {"u", strings({1}, {"c"})}});
  };
  EXPECT_EQ(code_of(run, &text), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace pli::test
