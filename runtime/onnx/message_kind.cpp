#include "runtime/onnx/message_kind.h"

#include "runtime/onnx/proto.h"
#include "runtime/onnx/values.pb.h"

#include <concepts>

namespace pli {

namespace {

using namespace onnx;  // NOLINT(google-build-using-namespace): what follows is a table of its messages

using Fields = decltype(MessageKind::messages);

/// With fields of that message which not every version of the schema has.
template <class Message>
Fields with_newer(Fields fields, const Message& message) {
  if constexpr (requires { message.kMetadataPropsFieldNumber; })
    fields.push_back({message.kMetadataPropsFieldNumber, kind_of<StringStringEntryProto>});
  if constexpr (requires { message.kAttributeProtoFieldNumber; })
    fields.push_back({message.kAttributeProtoFieldNumber, kind_of<AttributeProto>});
  if constexpr (std::same_as<Message, FunctionProto> && requires { message.kValueInfoFieldNumber; })
    fields.push_back({message.kValueInfoFieldNumber, kind_of<ValueInfoProto>});
  return fields;
}

template <class Message>
Fields fields(const Message&) {
  return {};
}
Fields fields(const AttributeProto& message) {
  return {{message.kTFieldNumber, kind_of<TensorProto>},
          {message.kGFieldNumber, kind_of<GraphProto>},
          {message.kTpFieldNumber, kind_of<TypeProto>},
          {message.kSparseTensorFieldNumber, kind_of<SparseTensorProto>},
          {message.kTensorsFieldNumber, kind_of<TensorProto>},
          {message.kGraphsFieldNumber, kind_of<GraphProto>},
          {message.kTypeProtosFieldNumber, kind_of<TypeProto>},
          {message.kSparseTensorsFieldNumber, kind_of<SparseTensorProto>}};
}
Fields fields(const FunctionProto& message) {
  return with_newer(
      {{message.kNodeFieldNumber, kind_of<NodeProto>}, {message.kOpsetImportFieldNumber, kind_of<OperatorSetIdProto>}},
      message);
}
Fields fields(const GraphProto& message) {
  return with_newer({{message.kNodeFieldNumber, kind_of<NodeProto>},
                     {message.kInitializerFieldNumber, kind_of<TensorProto>},
                     {message.kSparseInitializerFieldNumber, kind_of<SparseTensorProto>},
                     {message.kInputFieldNumber, kind_of<ValueInfoProto>},
                     {message.kOutputFieldNumber, kind_of<ValueInfoProto>},
                     {message.kValueInfoFieldNumber, kind_of<ValueInfoProto>},
                     {message.kQuantizationAnnotationFieldNumber, kind_of<TensorAnnotation>}},
                    message);
}
Fields fields(const ModelProto& message) {
  return {{message.kGraphFieldNumber, kind_of<GraphProto>},
          {message.kOpsetImportFieldNumber, kind_of<OperatorSetIdProto>},
          {message.kMetadataPropsFieldNumber, kind_of<StringStringEntryProto>},
          {message.kTrainingInfoFieldNumber, kind_of<TrainingInfoProto>},
          {message.kFunctionsFieldNumber, kind_of<FunctionProto>}};
}
Fields fields(const NodeProto& message) {
  return with_newer({{message.kAttributeFieldNumber, kind_of<AttributeProto>}}, message);
}
Fields fields(const OptionalProto& message) {
  return {{message.kTensorValueFieldNumber, kind_of<TensorProto>},
          {message.kSequenceValueFieldNumber, kind_of<SequenceProto>},
          {message.kOptionalValueFieldNumber, kind_of<OptionalProto>}};
}
Fields fields(const SequenceProto& message) {
  return {{message.kTensorValuesFieldNumber, kind_of<TensorProto>},
          {message.kSequenceValuesFieldNumber, kind_of<SequenceProto>},
          {message.kOptionalValuesFieldNumber, kind_of<OptionalProto>}};
}
Fields fields(const SparseTensorProto& message) {
  return {{message.kValuesFieldNumber, kind_of<TensorProto>}, {message.kIndicesFieldNumber, kind_of<TensorProto>}};
}
Fields fields(const TensorAnnotation& message) {
  return {{message.kQuantParameterTensorNamesFieldNumber, kind_of<StringStringEntryProto>}};
}
Fields fields(const TensorProto& message) {
  return with_newer({{message.kSegmentFieldNumber, kind_of<TensorProto::Segment>},
                     {message.kExternalDataFieldNumber, kind_of<StringStringEntryProto>}},
                    message);
}
Fields fields(const TensorShapeProto& message) {
  return {{message.kDimFieldNumber, kind_of<TensorShapeProto::Dimension>}};
}
Fields fields(const TrainingInfoProto& message) {
  return {{message.kInitializationFieldNumber, kind_of<GraphProto>},
          {message.kAlgorithmFieldNumber, kind_of<GraphProto>},
          {message.kInitializationBindingFieldNumber, kind_of<StringStringEntryProto>},
          {message.kUpdateBindingFieldNumber, kind_of<StringStringEntryProto>}};
}
Fields fields(const TypeProto& message) {
  return {{message.kTensorTypeFieldNumber, kind_of<TypeProto::Tensor>},
          {message.kSequenceTypeFieldNumber, kind_of<TypeProto::Sequence>},
          {message.kMapTypeFieldNumber, kind_of<TypeProto::Map>},
          {message.kSparseTensorTypeFieldNumber, kind_of<TypeProto::SparseTensor>},
          {message.kOptionalTypeFieldNumber, kind_of<TypeProto::Optional>}};
}
Fields fields(const TypeProto::Map& message) { return {{message.kValueTypeFieldNumber, kind_of<TypeProto>}}; }
Fields fields(const TypeProto::Optional& message) { return {{message.kElemTypeFieldNumber, kind_of<TypeProto>}}; }
Fields fields(const TypeProto::Sequence& message) { return {{message.kElemTypeFieldNumber, kind_of<TypeProto>}}; }
Fields fields(const TypeProto::SparseTensor& message) {
  return {{message.kShapeFieldNumber, kind_of<TensorShapeProto>}};
}
Fields fields(const TypeProto::Tensor& message) { return {{message.kShapeFieldNumber, kind_of<TensorShapeProto>}}; }
Fields fields(const ValueInfoProto& message) {
  return with_newer({{message.kTypeFieldNumber, kind_of<TypeProto>}}, message);
}

}  // namespace

template <class Message>
const MessageKind& kind_of() {
  static const MessageKind kind{static_cast<int64_t>(sizeof(Message)), fields(Message::default_instance())};
  return kind;
}

template const MessageKind& kind_of<ModelProto>();
template const MessageKind& kind_of<NodeProto>();
template const MessageKind& kind_of<OptionalProto>();
template const MessageKind& kind_of<SequenceProto>();
template const MessageKind& kind_of<TensorProto>();

}  // namespace pli
