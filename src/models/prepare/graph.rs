//! Small pieces of an ONNX graph: nodes, attributes, tensors and the model around them.

use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::tensor_proto::DataType;
use onnx_protobuf::tensor_shape_proto::{Dimension, dimension};
use onnx_protobuf::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};
use protobuf::{Enum, MessageField};

/// ONNX 1.8: old enough for every runtime in use, new enough for `Pad` with its sizes as a tensor.
const OPSET: i64 = 13;
const IR_VERSION: i64 = 7;

/// The name and the integers of an attribute; the operators used here know no other kind.
pub type Attribute<'a> = (&'a str, &'a [i64]);

pub fn node(op: &str, name: &str, inputs: &[&str], output: &str, attributes: &[Attribute]) -> NodeProto {
    let mut node = NodeProto::new();
    node.op_type = op.to_owned();
    node.name = name.to_owned();
    node.input = inputs.iter().map(|input| input.to_string()).collect();
    node.output = vec![output.to_owned()];
    node.attribute = attributes.iter().map(attribute).collect();
    node
}

/// `values` in row-major order.
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    tensor(name, dims, DataType::FLOAT, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

pub fn integers(name: &str, values: &[i64]) -> TensorProto {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, &[values.len() as i64], DataType::INT64, bytes)
}

/// A float tensor; a dimension is a number or a name, which makes it dynamic.
pub fn value(name: &str, dims: &[&str]) -> ValueInfoProto {
    let mut shape = TensorShapeProto::new();
    shape.dim = dims
        .iter()
        .map(|dim| {
            let mut dimension = Dimension::new();
            dimension.value = Some(match dim.parse() {
                Ok(number) => dimension::Value::DimValue(number),
                Err(_) => dimension::Value::DimParam(dim.to_string()),
            });
            dimension
        })
        .collect();
    let mut tensor = type_proto::Tensor::new();
    tensor.elem_type = DataType::FLOAT.value();
    tensor.shape = MessageField::some(shape);
    let mut kind = TypeProto::new();
    kind.value = Some(type_proto::Value::TensorType(tensor));
    let mut value = ValueInfoProto::new();
    value.name = name.to_owned();
    value.type_ = MessageField::some(kind);
    value
}

/// `about` says where the weights come from.
pub fn model(graph: GraphProto, about: &str) -> ModelProto {
    let mut opset = OperatorSetIdProto::new();
    opset.version = OPSET;
    let mut model = ModelProto::new();
    model.ir_version = IR_VERSION;
    model.opset_import = vec![opset];
    // No version of ours: the same weights must give the same bytes in the next release too.
    model.producer_name = "doorward".to_owned();
    model.doc_string = about.to_owned();
    model.graph = MessageField::some(graph);
    model
}

fn tensor(name: &str, dims: &[i64], kind: DataType, bytes: Vec<u8>) -> TensorProto {
    let mut tensor = TensorProto::new();
    tensor.name = name.to_owned();
    tensor.dims = dims.to_vec();
    tensor.data_type = kind.value();
    tensor.raw_data = bytes;
    tensor
}

fn attribute((name, values): &Attribute) -> AttributeProto {
    let mut proto = AttributeProto::new();
    proto.name = name.to_string();
    proto.ints = values.to_vec();
    proto.type_ = AttributeType::INTS.into();
    proto
}
