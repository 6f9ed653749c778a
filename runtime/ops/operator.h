#pragma once

#include "runtime/compute/kernel.h"
#include "runtime/compute/weight_cache.h"
#include "runtime/ir/graph.h"

#include <pli/limits.h>

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace pli::ops {

using compute::Kernel;
using compute::RunArgs;
using compute::TensorDesc;

/// The newest version of ONNX's own operator set that Pli knows the changes of: `tools/compare_schemas.py` compares the
/// tables with ONNX's schemas. In a newer set any node could mean something else, so all of them are unsupported; in
/// this one and those before, only what a claim does not cover.
inline constexpr int64_t kNewestOpset = 28;

/// The domain of nodes that stand for several ONNX nodes while a plan is compiled.
inline constexpr std::string_view kInternalDomain = "pli.internal";

/// A set of element types, one bit each.
using DataTypes = uint32_t;
constexpr DataTypes types(std::initializer_list<DataType> list) {
  DataTypes set = 0;
  for (const DataType dtype : list) set |= 1u << static_cast<uint32_t>(dtype);
  return set;
}
inline constexpr DataTypes kF32 = types({DataType::kFloat32});
inline constexpr DataTypes kIntegers =
    types({DataType::kInt8, DataType::kInt16, DataType::kInt32, DataType::kInt64, DataType::kUint8, DataType::kUint16,
           DataType::kUint32, DataType::kUint64});
inline constexpr DataTypes kBools = types({DataType::kBool});
inline constexpr DataTypes kF64 = types({DataType::kFloat64});
inline constexpr DataTypes kHalves = types({DataType::kFloat16, DataType::kBfloat16});
/// What moves without being computed with. Kernels meet strings as 64-bit integers, their addresses; 0 is an empty one.
inline constexpr DataTypes kStrings = types({DataType::kString});
inline constexpr DataTypes kNoStrings = kF32 | kF64 | kIntegers | kBools | kHalves;
inline constexpr DataTypes kMovable = kNoStrings | kStrings;

/// What type inference sees of a node. Types and constants are those that the graph holds at the moment: symbolic or
/// unknown while optimizing, concrete while compiling.
struct InferContext {
  const ir::Graph& graph;
  const ir::Node& node;
  const Limits& limits;
  int64_t opset;  // of ONNX's own operators

  bool has(size_t i) const { return static_cast<bool>(node.input(i)); }
  /// The type of input i. kInvalidModel when the input is missing.
  const ir::Type& type(size_t i) const;
  /// The value of input i when it is known; null when it is absent or only known at run time.
  const Tensor* constant(size_t i) const { return graph.constant_of(node.input(i)); }
  /// kInvalidModel unless the node has at least `least` and at most `most` inputs, the first `least` of them given.
  void check_inputs(size_t least, size_t most) const;
  /// The same for the node's outputs.
  void check_outputs(size_t least, size_t most) const;
};

/// An activation that a kernel before it can apply to its results.
struct Activation {
  enum class Kind {
    kRelu,       // max(x, 0)
    kLeakyRelu,  // x < 0 ? alpha x : x
    kClip,       // min(max(x, alpha), beta)
    kSigmoid,
    kTanh,
    kElu,          // x < 0 ? alpha (exp(x) - 1) : x
    kHardSigmoid,  // min(max(alpha x + beta, 0), 1)
    kHardSwish,    // x min(max(x / 6 + 1/2, 0), 1)
    kSwish,        // x sigmoid(alpha x)
    kGeluErf,
    kGeluTanh,
    kLinear,  // alpha x + beta
  };
  Kind kind = Kind::kRelu;
  float alpha = 0;
  float beta = 0;
};

/// One thing done to the result of a fused group's root, in order.
struct Epilogue {
  enum class Kind {
    kActivation,
    kAdd,         // plus operand, of the result's own shape
    kAddInPlace,  // plus what the output buffer holds: the operand dies here and shares the buffer
    kAddRow,      // plus operand, constant, one element for each place of the last dimension
  };
  Kind kind = Kind::kActivation;
  Activation activation;
  size_t operand = 0;  // index into PrepareContext::inputs, behind the node's own
};

/// Which epilogues an operator's kernels can carry: bits.
/// kTakesRow: of a product whose last dimension is one of a matrix. kTakesLinear: the activations alpha x + beta and
/// kHardSigmoid as well, which oneDNN's matmul gets wrong.
enum EpilogueSet : uint32_t { kNoEpilogue = 0, kTakesActivation = 1, kTakesAdd = 2, kTakesRow = 4, kTakesLinear = 8 };

/// What preparing a kernel sees: every shape and layout is concrete.
struct PrepareContext {
  const ir::Graph& graph;
  const ir::Node& node;
  const Limits& limits;
  int64_t opset;
  std::vector<TensorDesc> inputs;  // the node's, then the operands of epilogues; not present(): omitted
  /// Parallel to inputs; null when not constant. They live as long as the kernel. Their element type is the model's,
  /// which may be a half where `inputs` says float32.
  std::vector<const Tensor*> constants;
  std::vector<TensorDesc> outputs;
  std::vector<Epilogue> epilogues;
  int threads = 1;
  compute::WeightCache* weights = nullptr;  // packed weights shared by the session's kernels; may be null
  bool exact = false;                       // sums are made of their own products: NaN reaches what reads it
  bool spaces_result = false;               // whoever reads output 0 had better have its pixels spaced

  bool has(size_t i) const { return i < inputs.size() && inputs[i].present(); }
  const Tensor* constant(size_t i) const { return i < constants.size() ? constants[i] : nullptr; }
};

/// The layouts that a kernel takes and gives, chosen from those that its inputs come in. Inputs that differ are copied.
struct Layouts {
  std::vector<TensorDesc> inputs;  // as many as the context has
  std::vector<TensorDesc> outputs;
};

/// An output that is no work: the elements of input 0, seen with other dimensions and strides.
struct View {
  TensorDesc desc;
  int64_t offset = 0;  // in elements
};

using InferFn = std::vector<ir::Type> (*)(const InferContext&);
using PrepareFn = std::unique_ptr<Kernel> (*)(const PrepareContext&);
using LayoutFn = Layouts (*)(const PrepareContext&);
using ViewFn = std::optional<std::vector<View>> (*)(const PrepareContext&);

/// An operator as Pli runs it: what is outside of this claim is unsupported, and said so.
struct Operator {
  std::string_view type;
  int64_t since;  // first and last version of ONNX's operator set that it is right for
  int64_t until;
  /// Element types of input 0 that the kernels know. With float32 the halves need not be among them: see
  /// computes_wide.
  DataTypes types;
  /// The output types from the input types, one for each output of the node. Checks arity, ranks, attributes and sizes
  /// against each other. kInvalidModel when they contradict; an unknown type or dimension where it can't be told.
  InferFn infer;
  /// Makes the kernel. kUnsupported for modes outside of the claim. Null: a view always works, or what is run is
  /// another graph that takes the node's place while the plan is made (If).
  PrepareFn prepare;
  /// Null: row-major in and out.
  LayoutFn layout = nullptr;
  /// Null, or gives nothing: the kernel has to run.
  ViewFn view = nullptr;
  /// Bit i: the value of input i decides the output's shape, how the kernel is made or which branch is taken, so it has
  /// to be known when compiling.
  uint32_t value_inputs = 0;
  uint32_t epilogues = kNoEpilogue;
  /// Bit i: the value of input i does not count, only its type: for Shape, Size and EyeLike its dimensions, for
  /// CastLike its element type.
  uint32_t type_inputs = 0;
  /// kInternalDomain: made by the executor's rewriting only, never in a file that Pli writes.
  std::string_view domain = "";
  /// Bit i: input i, when it is constant, is taken up by the kernel while it is made, and not read when it runs.
  uint32_t absorbed_inputs = 0;

  /// float16 and bfloat16 are computed with as float32: whoever runs the kernel converts what it reads and gives. They
  /// are rounded when the kernel has ended, or later.
  bool computes_wide() const { return (types & kF32) && !(types & kHalves); }
  /// Element types of input 0 that the operator runs on.
  DataTypes accepted_types() const { return computes_wide() ? types | kHalves : types; }
  bool absorbs(size_t input) const { return input < 32 && ((absorbed_inputs >> input) & 1u) != 0; }
  bool reads_value(size_t input) const { return input < 32 && ((value_inputs >> input) & 1u) != 0; }
  bool reads_only_type(size_t input) const { return input < 32 && ((type_inputs >> input) & 1u) != 0; }
};

/// Every operator that a file may hold, by type and first version.
std::vector<const Operator*> operators();

/// The operator for a node of this model; null when Pli does not know it at this opset.
const Operator* find_operator(const ir::Graph& graph, const ir::Node& node);

/// What `op` infers of the node, with the size of every output checked against the limits: kResourceLimit.
std::vector<ir::Type> infer(const Operator& op, const ir::Graph& graph, const ir::Node& node, const Limits& limits);

/// Whether one of these operands that the node reads as data is float16 or bfloat16.
bool reads_halves(const Operator& op, const ir::Graph& graph, std::span<const ir::ValueId> operands);

/// Why Pli can't run the node as it stands, in words; nothing when it can. Types that are not known yet are taken as
/// fitting.
std::optional<std::string> why_unsupported(const ir::Graph& graph, const ir::Node& node);

// --- for the families ------------------------------------------------------------------------------------------------

/// The table of a family, one line an operator; registry.cpp joins them.
using Family = std::span<const Operator>;

/// Everything row-major.
Layouts row_major_layouts(const PrepareContext& context);

/// Input and output 0 channels-last where their rank is 3 to 5 (the kernels of spatial operators), everything else
/// row-major.
Layouts channels_last_layouts(const PrepareContext& context);

/// For operators that work element by element, with broadcasting: the output is dense in the order of axes of an input
/// of its shape (channels-last before others). Inputs whose strides follow that order stay as they come, gaps and
/// repetition included, so that input and output may differ in strides; the others are made dense in it.
Layouts elementwise_layouts(const PrepareContext& context);

/// For operators that keep the shape of input 0 and walk both with the same strides: input 0 and output 0 dense in the
/// order of axes that input 0 comes in, everything else row-major.
Layouts shared_layouts(const PrepareContext& context);

/// The one element type of all inputs, as far as it is known. kInvalidModel when they differ.
DataType common_dtype(const ir::Graph& graph, const ir::Node& node);

/// From this version on the operands of Add, Gemm, ... are broadcast as in NumPy, before by attributes.
inline constexpr int64_t kNumpyBroadcasting = 7;

/// `axis` counted from the end when negative. kInvalidModel when it is outside of [-rank, rank).
int64_t normalize_axis(int64_t axis, int64_t rank);

/// NumPy's multidirectional broadcasting. kInvalidModel when two known dimensions do not fit.
std::optional<ir::Dims> broadcast(const std::optional<ir::Dims>& a, const std::optional<ir::Dims>& b);

}  // namespace pli::ops
