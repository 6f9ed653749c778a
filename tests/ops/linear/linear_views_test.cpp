#include "runtime/core/tensor.h"
#include "runtime/ops/linear/convolution.h"
#include "runtime/ops/linear/matmul.h"
#include "tests/ops/op_test.h"

namespace pli::test {
namespace {

using ir::Dim;
using ir::Dims;

ir::Type type(std::optional<Dims> dims, DataType dtype = DataType::kFloat32) {
  return ir::Type::tensor(dtype, std::move(dims));
}
const Dim kN{std::string("n")};
const Dim kH{std::string("h")};
const Dim kUnknown{};

std::string inferred(const std::string& op_type, const std::vector<ir::Type>& inputs,
                     const std::vector<ir::Attribute>& attributes = {}, int64_t opset = 13) {
  return to_string(infer(op_type, opset, inputs, attributes).at(0));
}

TEST(ConvInference, KeepsWhatIsSymbolic) {
  const ir::Type x = type(Dims{kN, 3, kH, 9});
  const ir::Type w = type(Dims{5, 3, 3, 3});
  EXPECT_EQ(inferred("Conv", {x, w}), "float32[n, 5, ?, 7]");
  EXPECT_EQ(inferred("Conv", {x, w}, {ints("pads", {1, 1, 1, 1})}), "float32[n, 5, h, 9]");
  EXPECT_EQ(inferred("Conv", {x, w}, {attribute("auto_pad", "SAME_UPPER")}), "float32[n, 5, h, 9]");
  EXPECT_EQ(inferred("Conv", {x, w}, {attribute("auto_pad", "SAME_LOWER"), ints("strides", {2, 2})}),
            "float32[n, 5, ?, 5]");
  EXPECT_EQ(inferred("Conv", {type(std::nullopt), w}), "float32[?, 5, ?, ?]");
  EXPECT_EQ(inferred("Conv", {x, type(std::nullopt)}), "float32[n, ?, ?, ?]");
  EXPECT_EQ(inferred("Conv", {x, type(std::nullopt)}, {ints("kernel_shape", {3, 2})}), "float32[n, ?, ?, 8]");
  EXPECT_EQ(inferred("Conv", {type(std::nullopt), type(std::nullopt)}), "float32[...]");
  EXPECT_EQ(inferred("Conv", {x, type(std::nullopt), type(Dims{5})}), "float32[n, 5, ?, ?]");
}

TEST(ConvInference, OneToThreeDimensions) {
  EXPECT_EQ(
      inferred("Conv", {type(Dims{2, 4, 10}), type(Dims{6, 2, 3})}, {attribute("group", 2), ints("strides", {2})}),
      "float32[2, 6, 4]");
  EXPECT_EQ(inferred("Conv", {type(Dims{2, 4, 10, 9, 8}), type(Dims{6, 4, 3, 2, 1})}, {ints("dilations", {2, 3, 4})}),
            "float32[2, 6, 6, 6, 8]");
}

TEST(ConvInference, Transposed) {
  const ir::Type x = type(Dims{kN, 6, 5, 7});
  const ir::Type w = type(Dims{6, 4, 3, 2});
  EXPECT_EQ(inferred("ConvTranspose", {x, w}, {attribute("group", 2)}), "float32[n, 8, 7, 8]");
  EXPECT_EQ(inferred("ConvTranspose", {x, w},
                     {ints("strides", {2, 3}), ints("pads", {1, 0, 0, 1}), ints("output_padding", {1, 2})}),
            "float32[n, 4, 11, 21]");
  EXPECT_EQ(inferred("ConvTranspose", {x, w}, {ints("strides", {2, 3}), attribute("auto_pad", "SAME_UPPER")}),
            "float32[n, 4, 10, 21]");
  EXPECT_EQ(inferred("ConvTranspose", {x, w}, {ints("strides", {2, 3}), ints("output_shape", {12, 20})}),
            "float32[n, 4, 12, 20]");
  EXPECT_EQ(inferred("ConvTranspose", {type(Dims{kN, 6, kH, 7}), w}), "float32[n, 4, ?, 8]");
}

/// A graph of one node, its inputs of these types.
struct OneNode {
  ir::Graph graph;
  const ir::Node* node;

  OneNode(const char* op_type, const std::vector<Shape>& inputs, std::vector<ir::Attribute> attributes,
          int64_t opset = 13)
      : graph(std::make_shared<ir::OpsetImports>(ir::OpsetImports{{"", opset}})) {
    ir::NodeSpec spec{.op_type = op_type,
                      .name = "node",
                      .outputs = {{"y", {}, {}}},
                      .attributes = std::move(attributes),
                      .extra = "extra"};
    for (const Shape& shape : inputs)
      spec.inputs.push_back(
          graph.add_input("i" + std::to_string(spec.inputs.size()), type(Dims(shape.begin(), shape.end()))));
    node = &graph.node(graph.add_node(std::move(spec)));
  }
};

TEST(ConvView, PadsInEffect) {
  const auto pads = [](const char* op_type, std::vector<ir::Attribute> attributes) {
    attributes.push_back(ints("strides", {2, 2}));
    const OneNode one(op_type, {{1, 3, 6, 7}, {3, 3, 3, 4}}, std::move(attributes));
    const ops::Window window = ops::ConvView::of(one.graph, *one.node).resolved(std::array<int64_t, 2>{6, 7});
    return fmt::format("{} {}", to_string(window.pads_begin), to_string(window.pads_end));
  };
  EXPECT_EQ(pads("Conv", {ints("pads", {1, 2, 3, 0})}), "[1, 2] [3, 0]");
  EXPECT_EQ(pads("Conv", {attribute("auto_pad", "SAME_UPPER")}), "[0, 1] [1, 2]");
  EXPECT_EQ(pads("Conv", {attribute("auto_pad", "SAME_LOWER")}), "[1, 2] [0, 1]");
  EXPECT_EQ(pads("Conv", {attribute("auto_pad", "VALID")}), "[0, 0] [0, 0]");
  // 13 and 16 before padding; 12 and 14 are asked for.
  EXPECT_EQ(pads("ConvTranspose", {attribute("auto_pad", "SAME_UPPER")}), "[0, 1] [1, 1]");
  EXPECT_EQ(pads("ConvTranspose", {attribute("auto_pad", "SAME_LOWER")}), "[1, 1] [0, 1]");
  EXPECT_EQ(pads("ConvTranspose", {ints("output_shape", {10, 11})}), "[2, 3] [1, 2]");
  EXPECT_EQ(pads("ConvTranspose", {ints("output_shape", {14, 16})}), "[0, 0] [-1, 0]");
}

TEST(ConvView, KeepsAllButTheWeights) {
  const OneNode one("Conv", {{1, 3, 6, 7}, {5, 3, 3, 4}, {5}}, {attribute("group", 1), ints("strides", {2, 2})});
  const ops::ConvView view = ops::ConvView::of(one.graph, *one.node);
  const ir::NodeSpec spec = view.with_weights(*one.node, one.node->inputs[2], {});
  EXPECT_EQ(spec.op_type, "Conv");
  EXPECT_EQ(spec.name, "node");
  EXPECT_EQ(spec.extra, "extra");
  EXPECT_EQ(spec.attributes.size(), 2u);
  EXPECT_EQ(spec.inputs, (std::vector{one.node->inputs[0], one.node->inputs[2]}));
}

TEST(ConvView, RefusesContradictions) {
  const auto code = [](const char* op_type, const std::vector<Shape>& inputs,
                       std::vector<ir::Attribute> attributes = {}) {
    return error_of([&] {
             const OneNode one(op_type, inputs, std::move(attributes));
             const auto view = ops::ConvView::of(one.graph, *one.node);
             (void)view.resolved(std::array<int64_t, 2>{6, 7});
           })
        .code();
  };
  const Shape x{1, 6, 6, 7};
  const ErrorCode invalid = ErrorCode::kInvalidModel;
  EXPECT_EQ(code("Conv", {x, {4, 6, 3, 3}, {5}}), invalid);
  EXPECT_EQ(code("Conv", {x, {4, 6, 3, 3}, {4, 1}}), invalid);
  EXPECT_EQ(code("Conv", {x, {4, 2, 3, 3}}, {attribute("group", 3)}), invalid);  // 4 filters in 3 groups
  EXPECT_EQ(code("Conv", {{1, 6}, {4, 6}}), invalid);
  EXPECT_EQ(code("Conv", {x, {0, 6, 3, 3}}), invalid);
  EXPECT_EQ(code("Conv", {x, {4, 6, 0, 3}}), invalid);
  EXPECT_EQ(code("Conv", {x, {4, 6, 3, 3}}, {attribute("auto_pad", "SAME")}), invalid);
  EXPECT_EQ(code("Conv", {x, {4, INT64_MAX / 2, 3, 3}}, {attribute("group", 6)}), invalid);
  EXPECT_EQ(code("ConvTranspose", {x, {5, 4, 3, 3}}), invalid);
  EXPECT_EQ(code("ConvTranspose", {x, {6, 4, 3, 3}}, {attribute("group", 4)}), invalid);
  EXPECT_EQ(code("ConvTranspose", {x, {6, 4, 3, 3}, {5}}), invalid);
  EXPECT_EQ(code("ConvTranspose", {x, {6, 4, 3, 3}}, {ints("output_padding", {-1, 0})}), invalid);
  EXPECT_EQ(code("ConvTranspose", {x, {6, 4, 3, 3}}, {ints("output_padding", {1})}), invalid);
  EXPECT_EQ(code("ConvTranspose", {x, {6, 4, 3, 3}}, {ints("output_shape", {0, 3})}), invalid);
  EXPECT_EQ(code("ConvTranspose", {x, {6, 4, 3, 3}}, {ints("output_shape", {3})}), invalid);
  EXPECT_EQ(code("ConvTranspose", {x, {6, 4, 3, 3}}, {ints("pads", {4, 0, 4, 0})}), invalid);
}

TEST(ConvView, ChecksAttributesFirstAndNamesThem) {
  const auto refused = [](const char* op_type, const std::vector<ir::Type>& inputs, const ir::Attribute& attribute,
                          std::string_view why) {
    const Error e = error_of([&] { infer(op_type, 13, inputs, {attribute}); });
    EXPECT_EQ(e.code(), ErrorCode::kInvalidModel);
    EXPECT_NE(std::string_view(e.what()).find(why), std::string_view::npos) << e.what();
  };
  const ir::Type x = type(Dims{1, 6, 6, 7});
  const ir::Type unknown = type(std::nullopt);
  refused("ConvTranspose", {x, type(Dims{6, 4, 3, 3})}, ints("output_shape", {1, 4, 12, 20}),
          "output_shape [1, 4, 12, 20] has 4 elements for 2 spatial dimensions");
  refused("ConvTranspose", {x, unknown}, ints("output_shape", {12}), "output_shape [12] has 1 elements");
  refused("ConvTranspose", {x, unknown}, ints("output_padding", {1, 1, 1}), "output_padding [1, 1, 1] has 3 elements");
  refused("Conv", {x, unknown}, ints("strides", {1, 2, 3}), "strides [1, 2, 3] has 3 elements where 2");
  refused("Conv", {x, unknown}, ints("pads", {1, 1}), "pads [1, 1] has 2 elements where 4");
  refused("Conv", {x, type(Dims{4, 5, 3, 3})}, ints("dilations", {0, 1}), "dilations 0");  // and channels differ
}

TEST(GemmInference, Forms) {
  EXPECT_EQ(inferred("Gemm", {type(Dims{kN, 6}), type(Dims{6, 5})}), "float32[n, 5]");
  EXPECT_EQ(inferred("Gemm", {type(Dims{6, kN}), type(Dims{5, 6})}, {attribute("transA", 1), attribute("transB", 1)}),
            "float32[n, 5]");
  EXPECT_EQ(inferred("Gemm", {type(std::nullopt), type(Dims{6, 5}), type(Dims{5})}), "float32[?, 5]");
  EXPECT_EQ(inferred("Gemm", {type(Dims{kN, 6}), type(Dims{6, 5}), type(Dims{5})}, {attribute("broadcast", 1)}, 6),
            "float32[n, 5]");
  // Before opset 7 broadcasting has to be asked for, before 11 C has to be there.
  EXPECT_EQ(error_of([] {
              inferred("Gemm", {type(Dims{4, 6}), type(Dims{6, 5}), type(Dims{5})}, {}, 6);
            }).code(),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([] {
              inferred("Gemm", {type(Dims{4, 6}), type(Dims{6, 5})}, {}, 9);
            }).code(),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([] {
              inferred("Gemm", {type(Dims{4, 6}), type(Dims{6, 5}), type(Dims{5, 1})});
            }).code(),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([] {
              inferred("Gemm", {type(Dims{4, 6}), type(Dims{6, 5}, DataType::kFloat64)});
            }).code(),
            ErrorCode::kInvalidModel);
}

TEST(GemmView, NewBiasIsAddedAsItIs) {
  for (const int64_t opset : {6, 13}) {
    std::vector<ir::Attribute> attributes{attribute("alpha", 2.0f), attribute("beta", 3.0f), attribute("transB", 1)};
    const OneNode one("Gemm", {{4, 6}, {5, 6}, {4, 5}}, attributes, opset);
    const ops::GemmView view = ops::GemmView::of(one.graph, *one.node);
    const ir::NodeSpec spec = view.with_weights(one.graph, *one.node, view.b, view.c);
    ir::Node node;
    node.attributes = spec.attributes;
    EXPECT_EQ(node.float_or("alpha", 1), 2.0f);
    EXPECT_EQ(node.attribute("beta"), nullptr);
    EXPECT_EQ(node.int_or("broadcast", 0), opset < 7 ? 1 : 0);
  }
}

TEST(MatMulInference, AsNumPy) {
  EXPECT_EQ(inferred("MatMul", {type(Dims{kN, kH, 6}), type(Dims{6, 5})}), "float32[n, h, 5]");
  EXPECT_EQ(inferred("MatMul", {type(Dims{6}), type(Dims{kN, 6, 5})}), "float32[n, 5]");
  EXPECT_EQ(inferred("MatMul", {type(Dims{kN, 4, 6}), type(Dims{6})}), "float32[n, 4]");
  EXPECT_EQ(inferred("MatMul", {type(Dims{6}), type(Dims{6})}), "float32[]");
  EXPECT_EQ(inferred("MatMul", {type(Dims{2, 1, 4, 6}), type(Dims{3, 6, 5})}), "float32[2, 3, 4, 5]");
  EXPECT_EQ(inferred("MatMul", {type(Dims{kUnknown, 4, 6}), type(Dims{3, 6, 5})}), "float32[3, 4, 5]");
  EXPECT_EQ(inferred("MatMul", {type(std::nullopt), type(Dims{6, 5})}), "float32[...]");
  EXPECT_EQ(inferred("MatMul", {type(Dims{4, kUnknown}), type(Dims{6, 5})}), "float32[4, 5]");
}

}  // namespace
}  // namespace pli::test
