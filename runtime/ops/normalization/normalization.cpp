#include "runtime/ops/normalization/normalization.h"

#include "runtime/compute/local_response.h"
#include "runtime/compute/normalization.h"

#include <algorithm>
#include <array>

namespace pli::ops {

namespace {

using compute::Normalization;

void check_rank(const ir::Type& input, int64_t least) {
  if (input.dims && input.rank() < least)
    fail(ErrorCode::kInvalidModel, "an input of rank {} where {} or more is expected", input.rank(), least);
}

/// A vector with one number for each of `count` channels or groups.
void check_parameters(const InferContext& context, size_t index, const ir::Dim& count, std::string_view of_what) {
  const ir::Type& type = context.type(index);
  if (!type.dims) return;
  if (type.rank() != 1)
    fail(ErrorCode::kInvalidModel, "input {} has rank {} where a vector is expected", index, type.rank());
  const ir::Dim& size = (*type.dims)[0];
  if (size.known() && count.known() && size != count)
    fail(ErrorCode::kInvalidModel, "input {} has {} elements for {} {}", index, size.value(), count.value(), of_what);
}

// InstanceNormalization.

std::vector<ir::Type> infer_instance(const InferContext& context) {
  context.check_inputs(3, 3);
  context.check_outputs(1, 1);
  (void)common_dtype(context.graph, context.node);
  const ir::Type& input = context.type(0);
  check_rank(input, 3);
  if (input.dims)
    for (const size_t i : {1, 2}) check_parameters(context, i, (*input.dims)[1], "channels");
  return {input};
}

std::unique_ptr<Kernel> prepare_instance(const PrepareContext& context) {
  Normalization normalization{context.inputs[0], {}, double{context.node.float_or("epsilon", 1e-5F)}};
  normalization.grouped.assign(normalization.desc.dims.size(), true);
  normalization.grouped[0] = normalization.grouped[1] = false;
  normalization.parameter_strides.assign(normalization.desc.dims.size(), 0);
  normalization.parameter_strides[1] = 1;
  return compute::make_normalization(normalization);
}

// GroupNormalization.

/// Scale and bias have an element for each group before opset 21, for each channel from then on.
bool parameters_are_per_group(const ir::Graph& graph) { return graph.opset("") < 21; }

int64_t group_count(const ir::Node& node) {
  const int64_t groups = node.int_or("num_groups", 0);
  if (groups < 1) fail(ErrorCode::kInvalidModel, "num_groups {} where 1 or more is expected", groups);
  return groups;
}

std::vector<ir::Type> infer_group(const InferContext& context) {
  context.check_inputs(3, 3);
  context.check_outputs(1, 1);
  (void)common_dtype(context.graph, context.node);
  const ir::Type& input = context.type(0);
  check_rank(input, 3);
  const int64_t groups = group_count(context.node);
  const ir::Dim channels = input.dims ? (*input.dims)[1] : ir::Dim{};
  if (channels.known() && channels.value() % groups != 0)
    fail(ErrorCode::kInvalidModel, "{} groups do not divide {} channels", groups, channels.value());
  const bool per_group = parameters_are_per_group(context.graph);
  for (const size_t i : {1, 2})
    check_parameters(context, i, per_group ? ir::Dim(groups) : channels, per_group ? "groups" : "channels");
  return {input};
}

/// As (N, groups, channels of a group, spatial...), one group of elements for each of the first two.
std::unique_ptr<Kernel> prepare_group(const PrepareContext& context) {
  const int64_t groups = group_count(context.node);
  Normalization normalization{context.inputs[0], {}, double{context.node.float_or("epsilon", 1e-5F)}};
  TensorDesc& desc = normalization.desc;
  const int64_t together = desc.dims[1] / groups;
  desc.dims[1] = groups;
  desc.dims.insert(desc.dims.begin() + 2, together);
  desc.strides.insert(desc.strides.begin() + 1, desc.strides[1] * together);
  normalization.grouped.assign(desc.dims.size(), true);
  normalization.grouped[0] = normalization.grouped[1] = false;
  const bool per_group = parameters_are_per_group(context.graph);
  normalization.parameter_strides.assign(desc.dims.size(), 0);
  normalization.parameter_strides[1] = per_group ? 1 : together;
  normalization.parameter_strides[2] = per_group ? 0 : 1;
  return compute::make_normalization(normalization);
}

// LayerNormalization.

/// Scale and bias are broadcast to the input, aligned at the last dimension.
void check_broadcast(const ir::Type& input, const ir::Type& parameter, size_t index) {
  if (!input.dims || !parameter.dims) return;
  const auto common = ops::broadcast(input.dims, parameter.dims);
  if (parameter.rank() > input.rank())
    fail(ErrorCode::kInvalidModel, "input {} has a higher rank than the input", index);
  for (size_t i = 0; i < common->size(); ++i) {
    const ir::Dim& dim = (*input.dims)[i];
    if (dim.known() && (*common)[i].known() && dim != (*common)[i])
      fail(ErrorCode::kInvalidModel, "input {} is larger than the input in dimension {}", index, i);
  }
}

std::vector<ir::Type> infer_layer(const InferContext& context) {
  context.check_inputs(2, 3);
  context.check_outputs(1, 3);
  (void)common_dtype(context.graph, context.node);
  const ir::Type& input = context.type(0);
  for (size_t i = 1; i < context.node.inputs.size(); ++i)
    if (context.has(i)) check_broadcast(input, context.type(i), i);
  ir::Type statistics = ir::Type::tensor(DataType::kFloat32);
  if (input.dims) {
    const auto axis = static_cast<size_t>(normalize_axis(context.node.int_or("axis", -1), input.rank()));
    statistics.dims = input.dims;
    std::fill(statistics.dims->begin() + static_cast<std::ptrdiff_t>(axis), statistics.dims->end(), ir::Dim(1));
  }
  return {input, statistics, statistics};
}

/// What a step in each dimension of the input moves in a parameter that is broadcast to it.
std::vector<int64_t> broadcast_strides(const TensorDesc& parameter, size_t rank) {
  std::vector<int64_t> strides(rank, 0);
  for (size_t i = 0; i < parameter.dims.size(); ++i)
    if (parameter.dims[i] != 1) strides[rank - parameter.dims.size() + i] = parameter.strides[i];
  return strides;
}

std::unique_ptr<Kernel> prepare_layer(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  const auto axis = static_cast<size_t>(normalize_axis(context.node.int_or("axis", -1), input.rank()));
  if (context.node.int_or("stash_type", 1) != 1) fail(ErrorCode::kUnsupported, "a stash_type other than float32");
  const bool has_statistics = std::ranges::any_of(std::span(context.outputs).subspan(1), &TensorDesc::present);
  if (has_statistics && input.dtype != DataType::kFloat32)
    fail(ErrorCode::kUnsupported, "mean and deviation of {}", to_string(input.dtype));
  if (context.has(2) && context.inputs[2].dims != context.inputs[1].dims)
    fail(ErrorCode::kUnsupported, "a scale of shape {} with a bias of shape {}",
         to_string(std::span(context.inputs[1].dims)), to_string(std::span(context.inputs[2].dims)));
  Normalization normalization{input, {}, double{context.node.float_or("epsilon", 1e-5F)}};
  for (size_t i = 0; i < input.dims.size(); ++i) normalization.grouped.push_back(i >= axis);
  normalization.parameter_strides = broadcast_strides(context.inputs[1], input.dims.size());
  return compute::make_normalization(normalization);
}

// MeanVarianceNormalization.

std::vector<bool> mean_variance_axes(const ir::Node& node, int64_t rank) {
  std::vector<bool> grouped(static_cast<size_t>(rank), false);
  for (const int64_t axis : node.ints_or("axes", {0, 2, 3}))
    grouped[static_cast<size_t>(normalize_axis(axis, rank))] = true;
  return grouped;
}

std::vector<ir::Type> infer_mean_variance(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  if (input.dims) mean_variance_axes(context.node, input.rank());
  return {input};
}

std::unique_ptr<Kernel> prepare_mean_variance(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  constexpr double kEpsilon = 1e-9;  // of ONNX's definition, added to the deviation
  const std::vector<int64_t> none(input.dims.size(), 0);
  return compute::make_normalization({input, mean_variance_axes(context.node, input.rank()), kEpsilon, true, none});
}

// LRN.

compute::LocalResponse local_response(const ir::Node& node) {
  const int64_t size = node.int_or("size", 0);
  if (size < 1) fail(ErrorCode::kInvalidModel, "size {} where 1 or more is expected", size);
  return {size, double{node.float_or("alpha", 1e-4F)}, double{node.float_or("beta", 0.75F)},
          double{node.float_or("bias", 1)}};
}

std::vector<ir::Type> infer_local_response(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  check_rank(context.type(0), 2);
  local_response(context.node);
  return {context.type(0)};
}

std::unique_ptr<Kernel> prepare_local_response(const PrepareContext& context) {
  return compute::make_local_response(local_response(context.node), context.inputs[0]);
}

constexpr DataTypes kFloats = kF32 | kF64;

constexpr Operator kOperators[] = {
    {"InstanceNormalization", 1, kNewestOpset, kFloats, infer_instance, prepare_instance, shared_layouts},
    {"GroupNormalization", 18, kNewestOpset, kFloats, infer_group, prepare_group, shared_layouts},
    {"LayerNormalization", 17, kNewestOpset, kFloats, infer_layer, prepare_layer},
    {"MeanVarianceNormalization", 9, kNewestOpset, kFloats, infer_mean_variance, prepare_mean_variance, shared_layouts},
    {"LRN", 1, kNewestOpset, kFloats, infer_local_response, prepare_local_response, channels_last_layouts},
};

}  // namespace

Family normalization_family() { return kOperators; }

}  // namespace pli::ops
