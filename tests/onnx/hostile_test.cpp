#include "runtime/onnx/load.h"
#include "runtime/onnx/save.h"
#include "tests/onnx/protos.h"
#include "tests/temporary_folder.h"

#include <sys/stat.h>

#include <ctime>
#include <functional>
#include <random>

namespace pli::test {

namespace {

using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::ModelProto;
using onnx::TensorProto;

constexpr ErrorCode kInvalid = ErrorCode::kInvalidModel;
constexpr ErrorCode kLimit = ErrorCode::kResourceLimit;

struct Case {
  const char* name;
  std::function<void(ModelProto&)> breaks;
  ErrorCode code;
  const char* words;
};

void PrintTo(const Case& hostile, std::ostream* out) { *out << hostile.name; }

GraphProto& graph(ModelProto& m) { return *m.mutable_graph(); }
TensorProto& weight(ModelProto& m) { return *graph(m).mutable_initializer(0); }
onnx::NodeProto& first(ModelProto& m) { return *graph(m).mutable_node(0); }

AttributeProto& add_attribute(ModelProto& m, AttributeProto::AttributeType type) {
  AttributeProto& attribute = *first(m).add_attribute();
  attribute.set_name("a");
  attribute.set_type(type);
  return attribute;
}

/// A graph that holds `levels` graphs in each other.
GraphProto nest(int levels) {
  GraphProto inner;
  *inner.add_node() = node("Neg", {"x"}, {"n"});
  *inner.add_output() = declare("n", 1, {2, 3});
  for (int i = 1; i < levels; ++i) {
    GraphProto outer;
    *outer.add_node() = node("Loop", {}, {"n"});
    *outer.mutable_node(0)->add_attribute() = graph_attribute("body", inner);
    *outer.add_output() = declare("n", 1, {2, 3});
    inner = outer;
  }
  return inner;
}

onnx::FunctionProto function(const std::string& name, const std::vector<std::string>& calls) {
  onnx::FunctionProto proto;
  proto.set_name(name);
  proto.set_domain("f");
  for (const std::string& called : calls) {
    *proto.add_node() = node(called, {}, {});
    proto.mutable_node(proto.node_size() - 1)->set_domain("f");
  }
  return proto;
}

// --- the model -------------------------------------------------------------------------------------------------------

const Case kModelCases[] = {
    {"no graph", [](auto& m) { m.clear_graph(); }, kInvalid, "holds no graph"},
    {"no IR version", [](auto& m) { m.clear_ir_version(); }, kInvalid, "IR version 0"},
    {"negative IR version", [](auto& m) { m.set_ir_version(-1); }, kInvalid, "IR version -1"},
    {"no operator set", [](auto& m) { m.clear_opset_import(); }, kInvalid, "imports no operator set"},
    {"operator set 0", [](auto& m) { m.mutable_opset_import(0)->set_version(0); }, kInvalid,
     "version 0 of operator set"},
    {"negative operator set", [](auto& m) { m.mutable_opset_import(0)->set_version(INT64_MIN); }, kInvalid,
     "operator set"},
    {"two versions of one set", [](auto& m) { add_import(m, "ai.onnx", 7); }, kInvalid,
     "imported in versions 15 and 7"},
    {"only another set", [](auto& m) { m.mutable_opset_import(0)->set_domain("other"); }, kInvalid,
     "Add \"add\": the model does not import"},
    {"a function without a name", [](auto& m) { m.add_functions(); }, kInvalid, "function has no name"},
    {"a function twice",
     [](auto& m) {
       *m.add_functions() = function("g", {"Relu"});
       *m.add_functions() = function("g", {"Exp"});
     },
     kInvalid, "function \"g\" is defined twice"},
    {"a function that calls itself", [](auto& m) { *m.add_functions() = function("g", {"g"}); }, kInvalid,
     "function \"g\" calls itself"},
    {"functions that call each other",
     [](auto& m) {
       *m.add_functions() = function("g", {"h"});
       *m.add_functions() = function("h", {"k"});
       *m.add_functions() = function("k", {"g"});
     },
     kInvalid, "calls itself"},
    {"a function that calls itself from a nested graph",
     [](auto& m) {
       GraphProto body;
       *body.add_node() = function("", {"g"}).node(0);
       auto& g = *m.add_functions() = function("g", {"If"});
       *g.mutable_node(0)->add_attribute() = graph_attribute("then_branch", body);
     },
     kInvalid, "calls itself"},
    {"functions that double 60 times",
     [](auto& m) {
       *m.add_functions() = function("g0", {"Relu", "Relu"});
       for (int i = 1; i <= 60; ++i) {
         const std::string called = "g" + std::to_string(i - 1);
         *m.add_functions() = function("g" + std::to_string(i), {called, called});
       }
     },
     kLimit, "expand to more nodes"},
    {"functions that call 5000 levels deep",
     [](auto& m) {
       for (int i = 0; i < 5000; ++i)
         *m.add_functions() = function("g" + std::to_string(i), {"g" + std::to_string(i + 1)});
     },
     kLimit, "levels deep"},
};

// --- values and nodes ------------------------------------------------------------------------------------------------

const Case kGraphCases[] = {
    {"an input that nothing makes", [](auto& m) { first(m).set_input(1, "v"); }, kInvalid,
     "Add \"add\": nothing makes input 1, \"v\""},
    {"an input that only a nested graph makes",
     [](auto& m) {
       *first(m).add_attribute() = graph_attribute("body", nest(1));
       graph(m).mutable_node(1)->set_input(0, "n");
     },
     kInvalid, "Relu \"relu\": nothing makes input 0, \"n\""},
    {"a nested graph's input that nothing makes",
     [](auto& m) {
       GraphProto body = nest(2);
       body.mutable_node(0)->mutable_attribute(0)->mutable_g()->mutable_node(0)->set_input(0, "v");
       *first(m).add_attribute() = graph_attribute("body", body);
     },
     kInvalid,
     "Add \"add\": attribute body: Loop with output \"n\": attribute body: Neg with output \"n\": nothing makes"},
    {"an output that nothing makes", [](auto& m) { graph(m).mutable_output(0)->set_name("z"); }, kInvalid,
     "output \"z\": nothing makes it"},
    {"an output without a name", [](auto& m) { graph(m).mutable_output(0)->clear_name(); }, kInvalid,
     "output has no name"},
    {"an output twice", [](auto& m) { *graph(m).add_output() = graph(m).output(0); }, kInvalid, "two outputs"},
    {"an input without a name", [](auto& m) { graph(m).mutable_input(0)->clear_name(); }, kInvalid,
     "input has no name"},
    {"an input twice", [](auto& m) { *graph(m).add_input() = graph(m).input(0); }, kInvalid, "given to two values"},
    {"an initializer twice", [](auto& m) { *graph(m).add_initializer() = weight(m); }, kInvalid,
     "initializer \"w\": \"w\" is initialized twice"},
    {"an initializer and a sparse one",
     [](auto& m) { graph(m).add_sparse_initializer()->mutable_values()->set_name("w"); }, kInvalid,
     "is initialized twice"},
    {"a default twice",
     [](auto& m) {
       *graph(m).add_input() = declare("w", 1, {2, 3});
       *graph(m).add_initializer() = weight(m);
     },
     kInvalid, "initialized twice"},
    {"a sparse default twice",
     [](auto& m) {
       *graph(m).add_input() = declare("w", 1, {2, 3});
       graph(m).add_sparse_initializer()->mutable_values()->set_name("w");
     },
     kInvalid, "initialized twice"},
    {"a default of another type",
     [](auto& m) {
       *graph(m).add_input() = declare("w", 7, {2, 3});
     },
     kInvalid, "it is float32[2, 3], declared as int64[2, 3]"},
    {"a default of another shape",
     [](auto& m) {
       *graph(m).add_input() = declare("w", 1, {3, 2});
     },
     kInvalid, "it is float32[2, 3], declared as float32[3, 2]"},
    {"a node's output twice", [](auto& m) { first(m).add_output("sum"); }, kInvalid, "\"sum\" is given to two values"},
    {"two nodes' output", [](auto& m) { *graph(m).add_node() = node("Exp", {"x"}, {"sum"}); }, kInvalid,
     "Exp with output \"sum\": the name \"sum\" is given to two values"},
    {"an output named like an input", [](auto& m) { first(m).add_output("x"); }, kInvalid,
     "\"x\" is given to two values"},
    {"an output named like an initializer", [](auto& m) { first(m).add_output("w"); }, kInvalid,
     "\"w\" is given to two values"},
    {"a node on itself", [](auto& m) { first(m).set_input(0, "sum"); }, kInvalid, "Add \"add\" is part of a cycle"},
    {"a cycle", [](auto& m) { first(m).set_input(0, "y"); }, kInvalid, "is part of a cycle"},
    {"a cycle through a nested graph",
     [](auto& m) {
       GraphProto body = nest(2);
       body.mutable_node(0)->mutable_attribute(0)->mutable_g()->mutable_node(0)->set_input(0, "y");
       *first(m).add_attribute() = graph_attribute("body", body);
     },
     kInvalid, "is part of a cycle"},
    {"a nested cycle",
     [](auto& m) {
       GraphProto body = nest(1);
       body.mutable_node(0)->set_input(0, "n");
       *first(m).add_attribute() = graph_attribute("body", body);
     },
     kInvalid, "Neg with output \"n\" is part of a cycle"},
    {"a cycle behind other nodes",
     [](auto& m) {
       *graph(m).add_node() = node("Exp", {"q"}, {"r"}, "behind");
       *graph(m).add_node() = node("Exp", {"q"}, {"p"}, "one");
       *graph(m).add_node() = node("Exp", {"p"}, {"q"}, "two");
     },
     kInvalid, "Exp \"two\" is part of a cycle"},
    {"a node without an operator", [](auto& m) { first(m).clear_op_type(); }, kInvalid,
     "node \"add\": it names no operator"},
    {"an initializer without a name", [](auto& m) { weight(m).clear_name(); }, kInvalid, "an initializer has no name"},
    {"a sparse initializer without a name", [](auto& m) { graph(m).add_sparse_initializer(); }, kInvalid,
     "has no name"},
    {"a negative sparse dimension",
     [](auto& m) {
       graph(m).add_sparse_initializer()->mutable_values()->set_name("s");
       graph(m).mutable_sparse_initializer(0)->add_dims(-1);
     },
     kInvalid, "initializer \"s\": shape [-1] has a negative"},
    {"graphs nested 40 deep", [](auto& m) { *first(m).add_attribute() = graph_attribute("body", nest(40)); }, kLimit,
     "nested deeper than"},
    {"graphs nested 33 deep", [](auto& m) { *first(m).add_attribute() = graph_attribute("body", nest(33)); }, kLimit,
     "nested deeper than"},
    {"a name with line breaks", [](auto& m) { first(m).set_input(0, "a\nb\r\x1b[31m"); }, kInvalid, "\"a?b??[31m\""},
    {"a very long name", [](auto& m) { first(m).set_input(0, std::string(1 << 20, 'n')); }, kInvalid, "nnn..."},
    {"a negative declared dimension",
     [](auto& m) {
       graph(m).mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_dim_value(
           -2);
     },
     kInvalid, "input \"x\": the declared dimension -2 is negative"},
    {"a negative dimension of an inner value",
     [](auto& m) { *graph(m).add_value_info() = declare("sum", 1, {INT64_MIN}); }, kInvalid, "is negative"},
    {"a negative declared type",
     [](auto& m) { graph(m).mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(-7); }, kInvalid,
     "data type -7"},
    {"a declared rank of 65",
     [](auto& m) {
       for (int i = 0; i < 63; ++i)
         graph(m).mutable_output(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim();
     },
     kLimit, "the declared rank 65 is beyond the limit of 64"},
};

// --- tensors and attributes ------------------------------------------------------------------------------------------

const Case kTensorCases[] = {
    {"a payload too short", [](auto& m) { weight(m).mutable_raw_data()->pop_back(); }, kInvalid,
     "initializer \"w\": raw_data holds 23 bytes; float32 of shape [2, 3] takes 24"},
    {"an odd payload of bfloat16",
     [](auto& m) {
       weight(m).set_data_type(TensorProto::BFLOAT16);
       weight(m).mutable_raw_data()->resize(11);
     },
     kInvalid, "raw_data holds 11 bytes; bfloat16 of shape [2, 3] takes 12"},
    {"a payload too long", [](auto& m) { weight(m).mutable_raw_data()->push_back('x'); }, kInvalid,
     "raw_data holds 25 bytes"},
    {"no payload", [](auto& m) { weight(m).clear_raw_data(); }, kInvalid, "raw_data holds 0 bytes"},
    {"a payload twice", [](auto& m) { weight(m).add_float_data(1); }, kInvalid,
     "given twice, in raw_data and float_data"},
    {"a payload in the wrong field",
     [](auto& m) {
       weight(m).clear_raw_data();
       for (int i = 0; i < 6; ++i) weight(m).add_int64_data(i);
     },
     kInvalid, "int64_data can't hold float32"},
    {"too few entries",
     [](auto& m) {
       weight(m).clear_raw_data();
       weight(m).add_float_data(1);
     },
     kInvalid, "float_data holds 1 entries"},
    {"a negative dimension", [](auto& m) { weight(m).set_dims(0, -2); }, kInvalid, "[-2, 3] has a negative dimension"},
    {"two negative dimensions",
     [](auto& m) {
       weight(m).set_dims(0, -2);
       weight(m).set_dims(1, -3);
     },
     kInvalid, "negative dimension"},
    {"a zero beside a negative dimension",
     [](auto& m) {
       weight(m).set_dims(0, 0);
       weight(m).set_dims(1, -3);
       weight(m).clear_raw_data();
     },
     kInvalid, "negative dimension"},
    {"a product beyond 64 bits",
     [](auto& m) {
       weight(m).set_dims(0, int64_t{1} << 32);
       weight(m).set_dims(1, int64_t{1} << 32);
     },
     kInvalid, "does not fit 64 bits"},
    {"a product that wraps to the payload",
     [](auto& m) {
       weight(m).set_dims(0, int64_t{1} << 62);
       weight(m).set_dims(1, 4);
       weight(m).clear_raw_data();
     },
     kInvalid, "does not fit 64 bits"},
    {"bytes beyond 64 bits",
     [](auto& m) {
       weight(m).set_dims(0, int64_t{1} << 60);
       weight(m).set_dims(1, 4);
     },
     kInvalid, "does not fit 64 bits"},
    {"a huge tensor without a payload",
     [](auto& m) {
       weight(m).set_dims(0, int64_t{1} << 40);
       weight(m).clear_raw_data();
     },
     kInvalid, "raw_data holds 0 bytes"},
    {"700 million int4 in one byte",
     [](auto& m) {
       weight(m).set_data_type(22);
       weight(m).set_dims(0, 700000000);
       weight(m).set_raw_data("x");
     },
     kInvalid, "raw_data holds 1 bytes"},
    {"data type 0", [](auto& m) { weight(m).set_data_type(0); }, kInvalid, "data type 0 is not valid"},
    {"a negative data type", [](auto& m) { weight(m).set_data_type(INT32_MIN); }, kInvalid, "is not valid"},
    {"a data type that is not known, of a negative shape",
     [](auto& m) {
       weight(m).set_data_type(99);
       weight(m).set_dims(0, -1);
     },
     kInvalid, "negative dimension"},
    {"rank 65",
     [](auto& m) {
       for (int i = 0; i < 63; ++i) weight(m).add_dims(1);
     },
     kLimit, "rank 65 is beyond the limit of 64"},
    {"a wide entry of a narrow type",
     [](auto& m) {
       weight(m).set_data_type(TensorProto::INT8);
       weight(m).clear_raw_data();
       for (int i = 0; i < 6; ++i) weight(m).add_int32_data(1 << i << 4);
     },
     kInvalid, "the entry 256 does not fit int8"},
    {"a bad tensor in an attribute",
     [](auto& m) {
       *add_attribute(m, AttributeProto::TENSOR).mutable_t() = floats("t", {3}, {1, 2});
     },
     kInvalid, "Add \"add\": attribute a: raw_data holds 8 bytes"},
    {"a bad tensor in a list",
     [](auto& m) {
       *add_attribute(m, AttributeProto::TENSORS).add_tensors() = floats("t", {3}, {1, 2});
     },
     kInvalid, "attribute a: raw_data holds 8 bytes"},
    {"a bad tensor in a nested graph",
     [](auto& m) {
       GraphProto body = nest(1);
       *body.add_initializer() = floats("t", {3}, {1, 2});
       *first(m).add_attribute() = graph_attribute("body", body);
     },
     kInvalid, "attribute body: initializer \"t\": raw_data holds 8 bytes"},
    {"an attribute without a name", [](auto& m) { add_attribute(m, AttributeProto::INT).clear_name(); }, kInvalid,
     "has no name"},
    {"an attribute twice",
     [](auto& m) {
       add_attribute(m, AttributeProto::INT).set_i(1);
       add_attribute(m, AttributeProto::INT).set_i(1);
     },
     kInvalid, "attribute a is given twice"},
    {"an integer with text", [](auto& m) { add_attribute(m, AttributeProto::INT).set_s("1"); }, kInvalid,
     "it is of type INT and holds a value of type STRING"},
    {"integers with floats", [](auto& m) { add_attribute(m, AttributeProto::INTS).add_floats(1); }, kInvalid,
     "it is of type INTS and holds a value of type FLOATS"},
    {"values of two types",
     [](auto& m) {
       add_attribute(m, AttributeProto::INT).set_i(1);
       first(m).mutable_attribute(0)->set_f(1);
     },
     kInvalid, "values of two types"},
    {"a tensor without a value", [](auto& m) { add_attribute(m, AttributeProto::TENSOR); }, kInvalid, "holds no value"},
    {"a graph without a value", [](auto& m) { add_attribute(m, AttributeProto::GRAPH); }, kInvalid, "holds no value"},
    {"a sparse tensor without a value", [](auto& m) { add_attribute(m, AttributeProto::SPARSE_TENSOR); }, kInvalid,
     "holds no value"},
    {"a reference outside of a function", [](auto& m) { add_attribute(m, AttributeProto::INT).set_ref_attr_name("b"); },
     kInvalid, "refers to the function attribute \"b\""},
    {"external data in memory", [](auto& m) { weight(m).set_data_location(TensorProto::EXTERNAL); }, kInvalid,
     "tensor \"w\": a model that is read from memory"},
};

class Hostile : public testing::TestWithParam<Case> {};

TEST_P(Hostile, EndsInOneClearLine) {
  ModelProto model = small_model();
  GetParam().breaks(model);
  EXPECT_TRUE(fails_with(GetParam().code, GetParam().words, [&] { parse(model); }));

  const TemporaryFolder folder;
  const std::string bytes = model.SerializePartialAsString();
  write_file(folder / "m.onnx", bytes);
  if (std::string_view(GetParam().name) == "external data in memory") return;
  EXPECT_TRUE(fails_with(GetParam().code, GetParam().words, [&] { load_model(folder / "m.onnx", {}); }));
  EXPECT_TRUE(
      fails_with(GetParam().code, (folder / "m.onnx").string() + ": ", [&] { load_model(folder / "m.onnx", {}); }));
  EXPECT_EQ(read_file(folder / "m.onnx"), bytes);
  EXPECT_EQ(folder.names().size(), 1u);
}

std::string test_name(const testing::TestParamInfo<Case>& info) {
  std::string name;
  for (const char c : std::string_view(info.param.name)) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Model, Hostile, testing::ValuesIn(kModelCases), test_name);
INSTANTIATE_TEST_SUITE_P(Graph, Hostile, testing::ValuesIn(kGraphCases), test_name);
INSTANTIATE_TEST_SUITE_P(Tensor, Hostile, testing::ValuesIn(kTensorCases), test_name);

// --- bytes -----------------------------------------------------------------------------------------------------------

/// Parses bytes that may be anything: a model that can be saved and read again, or an Error that is no defect, on one
/// line.
void parse_anything(const std::string& bytes) {
  try {
    const ir::Model model = parse_model(std::as_bytes(std::span(bytes)), {});
    model.graph.verify();
    const std::string saved = serialize_model(model);
    try {
      const ir::Model again = parse_model(std::as_bytes(std::span(saved)), {});
      EXPECT_EQ(dump(again.graph), dump(model.graph));
    } catch (const Error& e) {
      ADD_FAILURE() << "what was saved can't be read: " << e.what();
    }
  } catch (const Error& e) {
    EXPECT_TRUE(e.code() == kInvalid || e.code() == kLimit) << e.what();
    EXPECT_EQ(std::string_view(e.what()).find('\n'), std::string_view::npos);
  }
}

/// A model with nested graphs, functions, typed data and all kinds of attributes.
std::string rich_bytes() {
  ModelProto model = small_model();
  *first(model).add_attribute() = graph_attribute("body", nest(3));
  add_attribute(model, AttributeProto::INTS).add_ints(300);
  *model.add_functions() = function("g", {"h"});
  *model.add_functions() = function("h", {"Relu"});
  TensorProto& typed = *graph(model).add_initializer();
  typed.set_name("typed");
  typed.set_data_type(TensorProto::INT8);
  typed.add_dims(3);
  for (const int v : {1, -2, 3}) typed.add_int32_data(v);
  *graph(model).add_value_info() = declare("sum", 1, {2, 3});
  return model.SerializeAsString();
}

TEST(HostileBytes, CutShortAnywhere) {
  const std::string bytes = rich_bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    SCOPED_TRACE(size);
    parse_anything(bytes.substr(0, size));
  }
  const TemporaryFolder folder;
  write_file(folder / "m.onnx", bytes.substr(0, bytes.size() / 2));
  EXPECT_TRUE(fails_with(kInvalid, "not an ONNX model", [&] { load_model(folder / "m.onnx", {}); }));
}

TEST(HostileBytes, EveryByteChanged) {
  const std::string bytes = rich_bytes();
  for (size_t at = 0; at < bytes.size(); ++at)
    for (const int change : {0x01, 0x08, 0x80, 0xff}) {
      SCOPED_TRACE(testing::Message() << at << " ^ " << change);
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ change);
      parse_anything(changed);
    }
}

TEST(HostileBytes, Random) {
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 300, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    parse_anything(bytes);
  }
}

TEST(HostileBytes, EmptyAndForeignFiles) {
  const TemporaryFolder folder;
  const auto load = [&](std::string_view bytes) {
    write_file(folder / "m.onnx", bytes);
    load_model(folder / "m.onnx", {});
  };
  for (const std::string bytes : {"", "{\"json\": true}", "\x89PNG\r\n", "PK\x03\x04", "<?xml?>",
                                  "\x7f"
                                  "ELF",
                                  "all kinds of words"})
    EXPECT_TRUE(fails_with(kInvalid, "not an ONNX model", [&] { load(bytes); })) << bytes;
  EXPECT_TRUE(fails_with(kInvalid, "not an ONNX model: the file is empty", [] { parse_model({}, {}); }));
}

TEST(HostileBytes, ForeignFilesSayWhatTheyAre) {
  const TemporaryFolder folder;
  const std::string zip = "PK\x03\x04" + std::string(26, '\0');
  const std::pair<std::string, const char*> cases[] = {
      {"", "the file is empty"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "git lfs pull"},
      {"\n<!DOCTYPE HTML><html>", "a web page"},
      {"<html>", "a web page"},
      {zip + "archive/data.pkl", "torch.onnx.export"},
      {zip + "resnet/version", "torch.onnx.export"},
      {zip + "config.json", "a Keras model"},
      {zip + "arr_0.npy", "NumPy"},
      {zip + "model.onnx", "a ZIP archive; unpack it"},
      {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "torch.onnx.export"},
      {"\x80\x04\x95 a pickle", "a pickle of Python"},
      {"\x1f\x8b\x08 packed", "gunzip"},
      {"\x28\xb5\x2f\xfd packed", "unzstd"},
      {"\x89HDF\r\n\x1a\n", "Keras or HDF5"},
      {std::string("\x1c\0\0\0TFL3", 8), "TensorFlow Lite"},
      {std::string("\x40\0\0\0\0\0\0\0{\"w\":", 13), "safetensors"},
      {std::string(257, '\0') + "ustar", "a tar archive"},
  };
  for (const auto& [bytes, words] : cases) {
    write_file(folder / "m.onnx", bytes);
    EXPECT_TRUE(fails_with(kInvalid, words, [&] { load_model(folder / "m.onnx", {}); }));
    EXPECT_TRUE(fails_with(kInvalid, "m.onnx: not an ONNX model: ", [&] { load_model(folder / "m.onnx", {}); }));
  }
}

TEST(HostileFiles, WhatIsNoRegularFile) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "pipe: not a regular file", [&] { load_model(folder / "pipe", {}); }));
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "not a regular file", [&] { load_model(folder.path(), {}); }));
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "not a regular file", [&] { load_model("/dev/zero", {}); }));
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "nowhere: can't be opened: No such file",
                         [&] { load_model(folder / "nowhere", {}); }));
}

TEST(HostileFiles, SizesAreKnownBeforeTheyAreRead) {
  const TemporaryFolder folder;
  const std::string bytes = small_model().SerializeAsString();
  write_file(folder / "m.onnx", bytes);
  Limits limits;
  limits.model_bytes = static_cast<int64_t>(bytes.size());
  EXPECT_NO_THROW(load_model(folder / "m.onnx", limits));
  --limits.model_bytes;
  EXPECT_TRUE(fails_with(kLimit, "are more than the limit", [&] { load_model(folder / "m.onnx", limits); }));
  EXPECT_TRUE(
      fails_with(kLimit, "are more than the limit", [&] { parse_model(std::as_bytes(std::span(bytes)), limits); }));
  // A file of holes that would not fit the memory.
  std::filesystem::resize_file(folder / "m.onnx", uint64_t{1} << 40);
  EXPECT_TRUE(fails_with(kLimit, "1099511627776 bytes are more than", [&] { load_model(folder / "m.onnx", {}); }));
}

/// A field of a message whose bytes these are.
std::string field(int number, const std::string& bytes) {
  std::string text(1, static_cast<char>(number << 3 | 2));
  for (size_t length = bytes.size();; length >>= 7) {
    text += static_cast<char>((length & 0x7f) | (length >= 0x80 ? 0x80 : 0));
    if (length < 0x80) break;
  }
  return text + bytes;
}

std::string repeat(const std::string& text, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += text;
  return result;
}

TEST(HostileLimits, EmptyMessagesAreCountedBeforeTheyAreMade) {
  const auto parse_graph = [](const std::string& graph_fields) {
    const std::string bytes = std::string("\x08\x08") + field(ModelProto::kGraphFieldNumber, graph_fields);
    parse_model(std::as_bytes(std::span(bytes)), {.nodes = 1000});
  };
  EXPECT_TRUE(
      fails_with(kLimit, "more nodes than the limit of 1000", [&] { parse_graph(repeat(field(1, ""), 1001)); }));
  const auto refused = [&](const std::string& graph_fields) {
    return fails_with(kLimit, "far more messages and strings than a file of", [&] { parse_graph(graph_fields); });
  };
  EXPECT_TRUE(refused(field(GraphProto::kNodeFieldNumber, repeat(field(5, ""), 1'200'000))));
  EXPECT_TRUE(refused(repeat(field(GraphProto::kInitializerFieldNumber, ""), 1'200'000)));
  EXPECT_TRUE(fails_with(kInvalid, "protobuf group", [&] { parse_graph("\x9b\x06\x9c\x06"); }));
}

TEST(HostileLimits, ShortNodesAreNotTakenForEmptyMessages) {
  ModelProto model = small_model();
  graph(model).clear_node();
  *graph(model).add_node() = node("Neg", {"x"}, {"0"});
  for (int i = 1; i < 300'000; ++i)
    *graph(model).add_node() = node("Neg", {fmt::format("{:x}", i - 1)}, {fmt::format("{:x}", i)});
  graph(model).mutable_output(0)->set_name(fmt::format("{:x}", 299'999));
  EXPECT_EQ(parse(model).graph.node_count(), 300'000u);
}

/// Processor time that `body` takes. Work that is quadratic in the sizes used here takes minutes without optimization.
double seconds(const std::function<void()>& body) {
  const std::clock_t start = std::clock();
  body();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

TEST(HostileTime, ManyAttributesOfOneNode) {
  ModelProto model = small_model();
  for (int i = 0; i < 100'000; ++i) add_attribute(model, AttributeProto::INT).set_name(fmt::format("a{}", i));
  EXPECT_LT(seconds([&] { parse(model); }), 10.0);
}

TEST(HostileTime, ManyOutputs) {
  ModelProto model = small_model();
  for (int i = 0; i < 100'000; ++i) {
    *graph(model).add_node() = node("Neg", {"x"}, {fmt::format("o{}", i)});
    graph(model).add_output()->set_name(fmt::format("o{}", i));
  }
  EXPECT_LT(seconds([&] { parse(model); }), 10.0);
}

TEST(HostileTime, ManyOutputsOfOneName) {
  ModelProto model = small_model();
  GraphProto body = nest(1);
  for (int i = 0; i < 30'000; ++i) *body.add_output() = body.output(0);
  *first(model).add_attribute() = graph_attribute("body", body);
  const ir::Model parsed = parse(model);
  EXPECT_LT(seconds([&] { serialize_model(parsed); }), 10.0);
}

TEST(HostileLimits, NodesDepthAndRank) {
  ModelProto model = small_model();
  *first(model).add_attribute() = graph_attribute("body", nest(3));
  const std::string bytes = model.SerializeAsString();
  const auto parse_within = [&](const Limits& limits) { parse_model(std::as_bytes(std::span(bytes)), limits); };
  EXPECT_NO_THROW(parse_within({.graph_depth = 3, .nodes = 5, .rank = 2}));
  EXPECT_TRUE(fails_with(kLimit, "nested deeper than the limit of 2", [&] { parse_within({.graph_depth = 2}); }));
  EXPECT_TRUE(fails_with(kLimit, "more nodes than the limit of 4", [&] { parse_within({.nodes = 4}); }));
  EXPECT_TRUE(fails_with(kLimit, "rank 2 is beyond the limit of 1", [&] { parse_within({.rank = 1}); }));
}

}  // namespace

}  // namespace pli::test
