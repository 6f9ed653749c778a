#include "tools/support/data/inputs.h"
#include "tools/support/data/fix_shapes.h"

#include "runtime/core/error.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"
#include "tests/tools/models.h"
#include "tools/support/data/index_limit.h"
#include "tools/support/data/npy.h"

#include <gtest/gtest.h>

#include <set>

namespace pli::tools {
namespace {

using test::fails_with;
using test::ModelBuilder;

void accept_all(const NamedValues&) {}

std::string settled(const Model& model, const InputOptions& options = {}) {
  InputMaker maker(model, options);
  maker.settle(accept_all);
  return maker.describe();
}

ModelBuilder one_input(DataType dtype, ir::Dims dims) {
  ModelBuilder b;
  b.output(b.node("Identity", {b.input("x", dtype, std::move(dims))}, "y"));
  return b;
}

TEST(Shapes, AreParsed) {
  EXPECT_EQ(parse_shape("1,3,224,224"), (Shape{1, 3, 224, 224}));
  EXPECT_EQ(parse_shape("0"), Shape{0});
  EXPECT_EQ(parse_shape(""), Shape{});
  for (const char* wrong : {"1,", ",1", "1,,2", "-1", "1.5", "x", "1 2", "99999999999999999999"})
    EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "no dimension", [&] { parse_shape(wrong); })) << wrong;
}

TEST(Inputs, StaticShapesAreTaken) {
  EXPECT_EQ(settled(one_input(DataType::kFloat32, {1, 3, 8, 9}).build()), "x float32[1, 3, 8, 9]");
}

TEST(Inputs, SymbolicFirstDimensionIsABatchOfOne) {
  EXPECT_EQ(settled(one_input(DataType::kFloat32, {std::string("N"), 3, std::string("h"), ir::Dim()}).build()),
            "x float32[1, 3, 32, 32]");
}

TEST(Inputs, GuessesOfManyDimensionsAreSmall) {
  ir::Dims dims{std::string("N")};
  for (int i = 0; i < 5; ++i) dims.emplace_back(std::string("d") + std::to_string(i));
  EXPECT_EQ(settled(one_input(DataType::kFloat32, dims).build()), "x float32[1, 4, 4, 4, 4, 4]");
  EXPECT_EQ(settled(one_input(DataType::kFloat32, dims).build(), {.dims = {"d0=3", "d1=2", "d4=2"}}),
            "x float32[1, 3, 2, 32, 32, 2]");
  ir::Dims large{std::string("N"), std::string("d"), 1 << 22};  // what the model itself says is no guess
  EXPECT_EQ(settled(one_input(DataType::kInt8, large).build()), "x int8[1, 32, 4194304]");
}

TEST(Inputs, NumbersThatDecideShapesAreAskedFor) {
  ModelBuilder b;
  const ir::ValueId depth = b.input("depth", DataType::kFloat32, {});
  const ir::ValueId indices = b.input("indices", DataType::kInt64, {4});
  b.output(b.node("OneHot", {indices, depth, b.constant<float>("values", {2}, {0, 1})}, "y"));
  InputMaker maker(b.build(), {});
  const auto refuse = [](const NamedValues&) { fail(ErrorCode::kInvalidModel, "depth is -0.03"); };
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "a guess; give what fits, such as --input depth=FILE",
                         [&] { maker.settle(refuse); }));
}

TEST(Inputs, BatchSymbolIsTheSameEverywhere) {
  ModelBuilder b;
  const ir::ValueId x = b.input("x", DataType::kFloat32, {std::string("N"), 7});
  const ir::ValueId y = b.input("y", DataType::kFloat32, {7, std::string("N")});
  b.output(b.node("MatMul", {x, y}, "z"));
  EXPECT_EQ(settled(b.build()), "x float32[1, 7], y float32[7, 1]");
}

TEST(Inputs, SymbolicChannelsFollowTheWeights) {
  ModelBuilder b;
  const ir::ValueId x =
      b.input("x", DataType::kFloat32, {std::string("N"), std::string("C"), std::string("H"), std::string("W")});
  b.output(b.node("Conv", {x, b.weights("w", {4, 3, 3, 3})}, "y", {{"group", int64_t{2}, {}}}));
  EXPECT_EQ(settled(b.build()), "x float32[1, 6, 32, 32]");
}

TEST(Inputs, SizesGrowUntilTheModelAccepts) {
  InputMaker maker(one_input(DataType::kFloat32, {std::string("N"), std::string("h")}).build(), {});
  std::vector<std::string> tried;
  maker.settle([&](const NamedValues& values) {
    const auto shape = values.at("x").shape();
    tried.push_back(to_string(shape));
    if (shape[0] != 2 || shape[1] != 64) fail(ErrorCode::kInvalidModel, "not {}", to_string(shape));
  });
  EXPECT_EQ(tried.size(), 9u);
  EXPECT_EQ(tried.front(), "[1, 32]");
  EXPECT_EQ(maker.describe(), "x float32[2, 64]");
  EXPECT_EQ(maker.guessed(), "--dim N=2 --dim h=64");
  EXPECT_TRUE(maker.change_batch(3));
  EXPECT_EQ(maker.describe(), "x float32[3, 64]");
}

TEST(Inputs, TheFirstRefusalIsTold) {
  InputMaker maker(one_input(DataType::kFloat32, {std::string("N"), std::string("h")}).build(), {});
  const auto refuse = [&](const NamedValues& values) {
    fail(ErrorCode::kInvalidModel, "not {}", to_string(values.at("x").shape()));
  };
  EXPECT_TRUE(
      fails_with(ErrorCode::kInvalidArgument,
                 "not [1, 32]: for x float32[1, 32], which is a guess; give what fits, such as --dim N=1 --dim h=224",
                 [&] { maker.settle(refuse); }));
  int calls = 0;
  const auto unsupported = [&](const NamedValues&) {
    ++calls;
    fail(ErrorCode::kUnsupported, "an operator");
  };
  EXPECT_TRUE(fails_with(ErrorCode::kUnsupported, "an operator", [&] { maker.settle(unsupported); }));
  EXPECT_EQ(calls, 1) << "other shapes do not help";
}

TEST(Inputs, ARefusedShapeIsTheModelsTheUsersOrAGuess) {
  const auto refused = [](const Model& model, const InputOptions& options, ErrorCode code, std::string_view words) {
    InputMaker maker(model, options);
    return fails_with(code, words,
                      [&] { maker.settle([](const NamedValues&) { fail(ErrorCode::kInvalidModel, "no"); }); });
  };
  const Model symbolic = one_input(DataType::kFloat32, {std::string("N"), 3}).build();
  EXPECT_TRUE(refused(symbolic, {}, ErrorCode::kInvalidArgument, "no: for x float32[1, 3], which is a guess"));
  EXPECT_TRUE(refused(symbolic, {{}, {}, {"N=7"}}, ErrorCode::kInvalidArgument, "no: for x float32[7, 3]"));
  EXPECT_TRUE(refused(symbolic, {{}, {"x:6,3"}, {}}, ErrorCode::kInvalidArgument, "no: for x float32[6, 3]"));
  const Model unnamed = one_input(DataType::kFloat32, {ir::Dim(), 3}).build();
  EXPECT_TRUE(refused(unnamed, {}, ErrorCode::kInvalidArgument, "give what fits, such as --shape x:1,3"));
  const Model fixed = one_input(DataType::kFloat32, {4, 3}).build();
  EXPECT_TRUE(refused(fixed, {}, ErrorCode::kInvalidModel, "no"));
}

TEST(Inputs, LargerThanTheLimitsAreNotMade) {
  const Model model = one_input(DataType::kFloat32, {std::string("N"), 3}).build();
  for (const char* batch : {"N=10000000000", "N=9000000000000000000"}) {
    InputMaker maker(model, {{}, {}, {batch}});
    EXPECT_TRUE(fails_with(ErrorCode::kResourceLimit, "input \"x\" float32[", [&] { maker.settle(accept_all); }))
        << batch;
  }
}

TEST(Inputs, ADefaultStaysUnlessAFileIsGiven) {
  const test::TemporaryFolder folder;
  ModelBuilder b;
  const ir::ValueId x = b.input("x", DataType::kFloat32, {3});
  const ir::ValueId free = b.input("free", DataType::kFloat32, {3});
  const ir::ValueId held = b.input("held", DataType::kFloat32, {3});
  b.graph().set_default(free, Tensor::copy<float>({3}, std::vector<float>{1, 2, 3}), {}, false);
  b.graph().set_default(held, Tensor::copy<float>({3}, std::vector<float>{4, 5, 6}), {}, true);
  b.output(b.node("Add", {b.node("Add", {x, free}, "sum"), held}, "y"));
  const Model model = b.build();
  EXPECT_EQ(settled(model), "x float32[3]");
  test::write_file(folder / "v.npy", npy_bytes(Tensor::copy<float>({3}, std::vector<float>{7, 8, 9})));
  const std::string file = (folder / "v.npy").string();
  InputMaker maker(model, {{"free=" + file}, {}, {}});
  maker.settle(accept_all);
  EXPECT_EQ(maker.describe(), "x float32[3], free float32[3]");
  const NamedValues first_set = maker.make(0);
  EXPECT_EQ(first_set.at("free").data<float>()[2], 9);
  const auto refused = [&](const InputOptions& options, std::string_view words) {
    return fails_with(ErrorCode::kInvalidArgument, words, [&] { InputMaker(model, options); });
  };
  EXPECT_TRUE(refused({{"held=" + file}, {}, {}}, "overridden"));
  EXPECT_TRUE(refused({{}, {"free:3"}, {}}, "has a default"));
  EXPECT_TRUE(refused({{"fre=" + file}, {}, {}}, "\"free\""));
}

TEST(Inputs, SeedsMakeTheNumbers) {
  InputMaker maker(one_input(DataType::kFloat32, {4, 50}).build(), {});
  maker.settle(accept_all);
  const auto values = [&](uint64_t seed) {
    const NamedValues made = maker.make(seed);
    const auto data = made.at("x").data<float>();
    return std::vector<float>(data.begin(), data.end());
  };
  EXPECT_EQ(values(1), values(1));
  EXPECT_NE(values(1), values(2));
  EXPECT_TRUE(maker.has_random());
}

TEST(Inputs, IntegersAreZeroOrOneUnlessTheyAreIndices) {
  ModelBuilder b;
  const ir::ValueId flags = b.input("flags", DataType::kInt64, {200});
  const ir::ValueId ids = b.input("ids", DataType::kInt32, {std::string("N"), 200});
  b.output(b.node("Identity", {flags}, "same"), DataType::kInt64);
  const ir::ValueId cast = b.node("Cast", {ids}, "cast", {{"to", int64_t{7}, {}}});
  b.output(b.node("Gather", {b.weights("table", {9, 3}), cast}, "rows"));
  b.output(b.node("Gather", {b.weights("wide", {4, 5}), cast}, "columns", {{"axis", int64_t{-1}, {}}}));
  const Model model = b.build();
  EXPECT_EQ(index_limit(model.ir()->graph, ids), 5);
  EXPECT_EQ(index_limit(model.ir()->graph, flags), std::nullopt);
  InputMaker maker(model, {});
  maker.settle(accept_all);
  const NamedValues values = maker.make(0);
  const auto distinct = [](auto span) { return std::set<int64_t>(span.begin(), span.end()); };
  EXPECT_EQ(distinct(values.at("flags").data<int64_t>()), (std::set<int64_t>{0, 1}));
  EXPECT_EQ(distinct(values.at("ids").data<int32_t>()), (std::set<int64_t>{0, 1, 2, 3, 4}));
}

TEST(Inputs, UsersSayShapesAndDimensions) {
  const Model model = one_input(DataType::kFloat32, {std::string("N"), 3, std::string("h")}).build();
  EXPECT_EQ(settled(model, {{}, {}, {"N=5"}}), "x float32[5, 3, 32]");
  EXPECT_EQ(settled(model, {{}, {"x:7,3,9"}, {}}), "x float32[7, 3, 9]");
  const auto refused = [&](const InputOptions& options, std::string_view words) {
    return fails_with(ErrorCode::kInvalidArgument, words, [&] { InputMaker(model, options); });
  };
  EXPECT_TRUE(refused({{}, {}, {"M=5"}}, "\"N\""));
  EXPECT_TRUE(refused({{}, {}, {"N"}}, "NAME=N"));
  EXPECT_TRUE(refused({{}, {}, {"N=x"}}, "no dimension"));
  EXPECT_TRUE(refused({{}, {}, {"N=1", "N=2"}}, "at once"));
  EXPECT_TRUE(refused({{}, {"y:1,3,9"}, {}}, "has no input \"y\""));
  EXPECT_TRUE(refused({{}, {"x"}, {}}, "NAME:DIMS"));
  EXPECT_TRUE(refused({{}, {"x:1,4,9"}, {}}, "does not fit; such as --shape x:1,3,224 does"));
  EXPECT_TRUE(refused({{}, {"x:1,4,9"}, {"N=5"}}, "such as --shape x:1,3,224 does"));
  EXPECT_TRUE(refused({{}, {"x:1,3"}, {}}, "does not fit"));
  EXPECT_TRUE(refused({{}, {"x:1,3,9", "x:1,3,9"}, {}}, "twice"));
  EXPECT_TRUE(refused({{}, {"x:2,3,9"}, {"N=1"}}, "at once"));
}

TEST(Inputs, FilesGiveValuesAndBindSymbols) {
  const test::TemporaryFolder folder;
  ModelBuilder b;
  const ir::ValueId x = b.input("a=b", DataType::kFloat32, {std::string("N"), 2});
  const ir::ValueId y = b.input("y", DataType::kFloat32, {std::string("N"), 3});
  b.output(b.node("Identity", {x}, "x2"));
  b.output(b.node("Identity", {y}, "y2"));
  const Model model = b.build();
  const auto npy = [&](const std::string& name, const Tensor& tensor) {
    test::write_file(folder / name, npy_bytes(tensor));
    return (folder / name).string();
  };
  const std::string file = npy("v.npy", Tensor::copy<float>({3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6}));
  InputMaker maker(model, {{"a=b=" + file}, {}, {}});
  maker.settle(accept_all);
  EXPECT_EQ(maker.describe(), "a=b float32[3, 2], y float32[3, 3]");
  EXPECT_EQ(maker.guessed(), "");
  EXPECT_FALSE(maker.change_batch(2)) << "the file says it";
  EXPECT_EQ(maker.origin("a=b"), file);
  EXPECT_EQ(maker.origin("y"), "random numbers");
  const NamedValues second_set = maker.make(1);
  EXPECT_EQ(second_set.at("a=b").data<float>()[5], 6);

  const auto refused = [&](const std::vector<std::string>& files, std::string_view words) {
    return fails_with(ErrorCode::kInvalidArgument, words, [&] { InputMaker(model, {files, {}, {}}); });
  };
  EXPECT_TRUE(refused({"a=b=" + file, "a=b=" + file}, "twice"));
  EXPECT_TRUE(refused({"y=" + file}, "does not fit"));
  EXPECT_TRUE(refused({"y"}, "NAME=FILE"));
  EXPECT_TRUE(refused({"y=model.onnx"}, "neither .npy nor .pb"));
  EXPECT_TRUE(refused({"y=" + npy("d.npy", Tensor(DataType::kFloat64, {3, 3}))}, "float64"));
  const InputMaker odd(model, {{"a=b=" + file, "y=" + npy("w.npy", Tensor(DataType::kFloat32, {4, 3}))}, {}, {}});
  EXPECT_EQ(odd.contradiction(), "dimension N is 3 in one input and 4 in input \"y\"");
  EXPECT_EQ(maker.contradiction(), "");
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "in input \"y\"", [&] {
    fix_shapes(model, {{}, {"a=b:3,2", "y:4,3"}, {}});
  }));
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "nowhere.npy", [&] { InputMaker(model, {{"y=nowhere.npy"}, {}, {}}); }));
}

TEST(Inputs, WhatCanNotBeMadeUpHasToBeGiven) {
  ModelBuilder strings;
  strings.output(strings.node("Identity", {strings.input("s", DataType::kString, {2})}, "y"), DataType::kString);
  EXPECT_TRUE(fails_with(ErrorCode::kUnsupported, "--input", [&] { settled(strings.build()); }));
  ModelBuilder shapeless;
  const ir::ValueId x = shapeless.graph().add_input("x", ir::Type::tensor(DataType::kFloat32), {});
  shapeless.output(shapeless.node("Identity", {x}, "y"));
  EXPECT_TRUE(
      fails_with(ErrorCode::kInvalidArgument, "such as --shape x:1,3,224,224", [&] { settled(shapeless.build()); }));
  EXPECT_EQ(settled(shapeless.build(), {{}, {"x:2,2"}, {}}), "x float32[2, 2]");
}

TEST(Inputs, ModelsWithoutInputsNeedNone) {
  ModelBuilder b;
  b.output(b.node("Identity", {b.weights("w", {2, 2})}, "y"));
  InputMaker maker(b.build(), {});
  maker.settle(accept_all);
  EXPECT_EQ(maker.describe(), "no inputs");
  EXPECT_TRUE(maker.make(0).empty());
  EXPECT_FALSE(maker.has_random());
}

}  // namespace
}  // namespace pli::tools
