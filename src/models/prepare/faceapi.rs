//! The face recognition network of face-api, from its TensorFlow.js weights to ONNX.
//!
//! In: the JSON list of tensors and the file of their values, as `@vladmandic/face-api` ships them. Out: an ONNX file
//! with input `input` [N,3,150,150] (RGB, 0 to 255) and output `embedding` [N,128]. The architecture is that of
//! `src/faceRecognitionNet/` in the package: dlib's ResNet-34.
//!
//! ```text
//! input 150 ─ conv 7x7/2 ─▶ 72 ─ max-pool 3/2 ─▶ 35 ─ 3 blocks of 32 ─▶ 35 ─ down 64 ─▶ 17 ─ 3 blocks ─▶ 17
//!   ─ down 128 ─▶ 8 ─ 2 blocks ─▶ 8 ─ down 256 ─▶ 4 ─ 2 blocks ─▶ 4 ─ down 256 ─▶ 2 ─ mean ─▶ 256 ─ matrix ─▶ 128
//! ```
//!
//! Every convolution is followed by a bias, a scale and another bias per channel; all three, and the input's mean and
//! its division by 255, are folded into the convolution's own weights and bias. The weights are written as float32. Kept as
//! uint8 the file has 6.5 MB instead of 22 MB but four times the nodes, takes 43 ms instead of 28 ms to load, and runs
//! no faster (3.1 and 3.0 ms a face; one thread, x86-64, ONNX Runtime 1.31).

use std::collections::HashMap;
use std::ops::Range;

use onnx_protobuf::{GraphProto, Message};
use serde::Deserialize;

use super::graph::{self, Attribute};
use crate::models::FetchError;

/// Side of the square input, in pixels.
const SIDE: i64 = 150;
/// Length of the embedding.
const LENGTH: usize = 128;
/// Subtracted from R, G and B, then everything is divided by 255 (`FaceRecognitionNet.ts`).
const MEAN: [f64; 3] = [122.782, 117.001, 104.298];
const DIVISOR: f64 = 255.0;

/// Name, channels, and whether the block halves the sides.
const BLOCKS: [(&str, usize, bool); 14] = [
    ("conv32_1", 32, false),
    ("conv32_2", 32, false),
    ("conv32_3", 32, false),
    ("conv64_down", 64, true),
    ("conv64_1", 64, false),
    ("conv64_2", 64, false),
    ("conv64_3", 64, false),
    ("conv128_down", 128, true),
    ("conv128_1", 128, false),
    ("conv128_2", 128, false),
    ("conv256_down", 256, true),
    ("conv256_1", 256, false),
    ("conv256_2", 256, false),
    ("conv256_down_out", 256, true),
];

/// Builds the ONNX file from the list of tensors and their values.
pub fn prepare(list: &[u8], values: &[u8]) -> Result<Vec<u8>, FetchError> {
    let weights = Weights::read(list, values)?;
    let mut net = Network { graph: GraphProto::new(), weights, side: SIDE, channels: 3 };
    net.graph.name = "face-api face recognition".to_owned();

    let entry = net.folded("conv32_down", 7, 32)?.with_input_scale();
    let mut x = net.convolution("input", "conv32_down", entry, Stride::Halve);
    x = net.relu(&x);
    x = net.max_pool(&x);
    for (name, channels, halves) in BLOCKS {
        x = net.block(&x, name, channels, halves)?;
    }
    net.head(&x)?;
    net.graph.input = vec![graph::value("input", &["N", "3", "150", "150"])];
    net.graph.output = vec![graph::value("embedding", &["N", "128"])];

    let model = graph::model(net.graph, "face recognition network of @vladmandic/face-api, MIT licence");
    model.write_to_bytes().map_err(|error| wrong(format!("it cannot be written ({error})")))
}

/// The graph as far as it has been built, and the shape of its latest value.
struct Network<'a> {
    graph: GraphProto,
    weights: Weights<'a>,
    side: i64,
    channels: usize,
}

/// A convolution with everything that follows it folded in; weights as `[out][in][y][x]`.
struct Convolution {
    kernel: usize,
    inputs: usize,
    weights: Vec<f64>,
    bias: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq)]
enum Stride {
    /// 1, with a border of zeros: the sides stay.
    Keep,
    /// 2, without a border.
    Halve,
}

impl Network<'_> {
    /// conv, ReLU, conv, plus the shortcut, ReLU. A block that halves averages its shortcut 2x2 and fills missing
    /// channels with zeros; where the convolutions give one row and column less, zeros go to the bottom and right.
    fn block(&mut self, x: &str, name: &str, channels: usize, halves: bool) -> Result<String, FetchError> {
        let (inputs, side) = (self.channels, self.side);
        let (first, second) = (format!("{name}/conv1"), format!("{name}/conv2"));
        let folded = self.folded(&first, 3, channels)?;
        let stride = if halves { Stride::Halve } else { Stride::Keep };
        let mut branch = self.convolution(x, &first, folded, stride);
        branch = self.relu(&branch);
        self.channels = channels;
        let folded = self.folded(&second, 3, channels)?;
        branch = self.convolution(&branch, &second, folded, Stride::Keep);

        let mut shortcut = x.to_owned();
        if halves {
            let attributes: [Attribute; 2] = [("kernel_shape", &[2, 2]), ("strides", &[2, 2])];
            shortcut = self.add("AveragePool", &format!("{name}/pool"), &[x], &attributes);
            if channels > inputs {
                let missing = (channels - inputs) as i64;
                shortcut = self.pad(&shortcut, &format!("{name}/fill"), [missing, 0, 0]);
            }
            let pooled = side / 2;
            if pooled > self.side {
                let short = pooled - self.side;
                branch = self.pad(&branch, &format!("{name}/border"), [0, short, short]);
                self.side = pooled;
            }
        }
        let sum = self.add("Add", &format!("{name}/add"), &[&branch, &shortcut], &[]);
        Ok(self.relu(&sum))
    }

    fn head(&mut self, x: &str) -> Result<(), FetchError> {
        let matrix: Vec<f32> = self.weights.tensor("fc", &[self.channels, LENGTH])?;
        self.graph.initializer.push(graph::floats("fc", &[self.channels as i64, LENGTH as i64], &matrix));
        let mean = self.add("GlobalAveragePool", "mean", &[x], &[]);
        let flat = self.add("Flatten", "flat", &[&mean], &[]);
        self.graph.node.push(graph::node("MatMul", "fc/matrix", &[&flat, "fc"], "embedding", &[]));
        Ok(())
    }

    /// Reads a convolution and its scale layer: `(conv(x) + bias) * scale + shift` per channel.
    fn folded(&self, name: &str, kernel: usize, outputs: usize) -> Result<Convolution, FetchError> {
        let inputs = self.channels;
        let read = |part: &str, shape: &[usize]| self.weights.tensor(&format!("{name}/{part}"), shape);
        let filters = read("conv/filters", &[kernel, kernel, inputs, outputs])?;
        let bias = read("conv/bias", &[outputs])?;
        let scale = read("scale/weights", &[outputs])?;
        let shift = read("scale/biases", &[outputs])?;

        // TensorFlow keeps `[y][x][in][out]`, ONNX `[out][in][y][x]`.
        let mut weights = vec![0.0; filters.len()];
        for (at, value) in filters.iter().enumerate() {
            let (rest, output) = (at / outputs, at % outputs);
            let (place, input) = (rest / inputs, rest % inputs);
            weights[(output * inputs + input) * kernel * kernel + place] = f64::from(*value) * f64::from(scale[output]);
        }
        let bias = (0..outputs).map(|o| f64::from(bias[o]) * f64::from(scale[o]) + f64::from(shift[o])).collect();
        Ok(Convolution { kernel, inputs, weights, bias })
    }

    fn convolution(&mut self, x: &str, name: &str, conv: Convolution, stride: Stride) -> String {
        let kernel = conv.kernel as i64;
        let outputs = conv.bias.len();
        let (step, border) = match stride {
            Stride::Keep => (1, kernel / 2),
            Stride::Halve => (2, 0),
        };
        let (weights, bias) = (format!("{name}/weights"), format!("{name}/bias"));
        let dims = [outputs as i64, conv.inputs as i64, kernel, kernel];
        self.graph.initializer.push(graph::floats(&weights, &dims, &single(&conv.weights)));
        self.graph.initializer.push(graph::floats(&bias, &[outputs as i64], &single(&conv.bias)));
        self.side = (self.side + 2 * border - kernel) / step + 1;
        self.channels = outputs;
        let attributes: [Attribute; 3] =
            [("kernel_shape", &[kernel, kernel]), ("strides", &[step, step]), ("pads", &[border; 4])];
        self.add("Conv", name, &[x, &weights, &bias], &attributes)
    }

    fn max_pool(&mut self, x: &str) -> String {
        self.side = (self.side - 3) / 2 + 1;
        self.add("MaxPool", "max_pool", &[x], &[("kernel_shape", &[3, 3]), ("strides", &[2, 2])])
    }

    fn relu(&mut self, x: &str) -> String {
        self.add("Relu", &format!("{x}/relu"), &[x], &[])
    }

    /// Appends zeros: channels at the end, rows at the bottom, columns at the right.
    fn pad(&mut self, x: &str, name: &str, [channels, rows, columns]: [i64; 3]) -> String {
        let sizes = format!("{name}/sizes");
        self.graph.initializer.push(graph::integers(&sizes, &[0, 0, 0, 0, 0, channels, rows, columns]));
        self.add("Pad", name, &[x, &sizes], &[])
    }

    /// Adds a node whose output bears its name.
    fn add(&mut self, op: &str, name: &str, inputs: &[&str], attributes: &[Attribute]) -> String {
        self.graph.node.push(graph::node(op, name, inputs, name, attributes));
        name.to_owned()
    }
}

impl Convolution {
    /// Folds `(x - mean) / 255` in. The convolution has no border, so the mean is the same everywhere.
    fn with_input_scale(mut self) -> Self {
        let area = self.kernel * self.kernel;
        for (output, bias) in self.bias.iter_mut().enumerate() {
            for (input, mean) in MEAN.iter().enumerate() {
                let start = (output * self.inputs + input) * area;
                for weight in &mut self.weights[start..start + area] {
                    *weight /= DIVISOR;
                    *bias -= *weight * mean;
                }
            }
        }
        self
    }
}

/// The tensors of the two files by name.
struct Weights<'a> {
    places: HashMap<String, Place>,
    values: &'a [u8],
}

struct Place {
    shape: Vec<usize>,
    bytes: Range<usize>,
    /// `None` for plain float32.
    quantization: Option<Quantization>,
}

/// A group of the list; every tensor's values follow those of the one before it.
#[derive(Deserialize)]
struct Group {
    weights: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    shape: Vec<usize>,
    dtype: String,
    quantization: Option<Quantization>,
}

/// A value is `q * scale + min`, with `q` one byte.
#[derive(Deserialize)]
struct Quantization {
    dtype: String,
    scale: f64,
    min: f64,
}

impl<'a> Weights<'a> {
    fn read(list: &[u8], values: &'a [u8]) -> Result<Self, FetchError> {
        let groups: Vec<Group> = serde_json::from_slice(list)
            .map_err(|error| wrong(format!("the list of tensors cannot be read ({error})")))?;
        let mut places = HashMap::new();
        let mut end = 0_usize;
        for listed in groups.into_iter().flat_map(|group| group.weights) {
            let name = listed.name;
            let fail = |problem: &str| wrong(format!("tensor `{name}` {problem}"));
            if listed.dtype != "float32" {
                return Err(fail("is not float32"));
            }
            let size = match &listed.quantization {
                None => 4,
                Some(q) if q.dtype == "uint8" && q.scale.is_finite() && q.min.is_finite() => 1,
                Some(_) => return Err(fail("is quantised in an unknown way")),
            };
            let length = listed.shape.iter().try_fold(size, |product: usize, side| product.checked_mul(*side));
            let start = end;
            end = length.and_then(|length| start.checked_add(length)).ok_or_else(|| fail("is impossibly large"))?;
            if end > values.len() {
                return Err(fail(&format!("ends at byte {end}, the file of values has {}", values.len())));
            }
            let place = Place { shape: listed.shape, bytes: start..end, quantization: listed.quantization };
            if places.insert(name.clone(), place).is_some() {
                return Err(wrong(format!("tensor `{name}` is listed twice")));
            }
        }
        if end != values.len() {
            return Err(wrong(format!("the list describes {end} bytes of values, the file has {}", values.len())));
        }
        Ok(Self { places, values })
    }

    /// The values of a tensor in row-major order, all finite.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, FetchError> {
        let place = self.places.get(name).ok_or_else(|| wrong(format!("there is no tensor `{name}`")))?;
        if place.shape != shape {
            return Err(wrong(format!("tensor `{name}` has the shape {:?} instead of {shape:?}", place.shape)));
        }
        let bytes = &self.values[place.bytes.clone()];
        let values: Vec<f32> = match &place.quantization {
            // As TensorFlow.js does it: in double precision, then rounded once.
            Some(q) => bytes.iter().map(|byte| (f64::from(*byte) * q.scale + q.min) as f32).collect(),
            None => bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
        };
        if values.iter().any(|value| !value.is_finite()) {
            return Err(wrong(format!("tensor `{name}` holds a value that is no number")));
        }
        Ok(values)
    }
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

fn wrong(problem: impl Into<String>) -> FetchError {
    FetchError::Prepare { what: "the face-api network", problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onnx_protobuf::ModelProto;
    use serde_json::{Value, json};
    use std::collections::HashSet;

    /// Files of the real form with made-up values; one tensor is float32, as in the real ones.
    fn files() -> (Value, Vec<u8>) {
        let mut list = Vec::new();
        let mut values = Vec::new();
        let mut tensor = |name: String, shape: &[usize]| {
            let count: usize = shape.iter().product();
            let mut listed = json!({"name": name, "shape": shape, "dtype": "float32"});
            if name == "conv64_down/conv1/conv/filters" {
                values.extend((0..count).flat_map(|at| (at as f32 * 1e-6).to_le_bytes()));
            } else {
                listed["quantization"] = json!({"dtype": "uint8", "scale": 0.001, "min": -0.1});
                values.extend((0..count).map(|at| (at * 31 % 251) as u8));
            }
            list.push(listed);
        };
        let mut layer = |name: &str, kernel: usize, inputs: usize, outputs: usize| {
            tensor(format!("{name}/conv/filters"), &[kernel, kernel, inputs, outputs]);
            for part in ["conv/bias", "scale/weights", "scale/biases"] {
                tensor(format!("{name}/{part}"), &[outputs]);
            }
        };
        layer("conv32_down", 7, 3, 32);
        let mut inputs = 32;
        for (name, channels, _) in BLOCKS {
            layer(&format!("{name}/conv1"), 3, inputs, channels);
            layer(&format!("{name}/conv2"), 3, channels, channels);
            inputs = channels;
        }
        tensor("fc".into(), &[256, LENGTH]);
        (json!([{"paths": ["made_up.bin"], "weights": list}]), values)
    }

    fn text(list: &Value) -> Vec<u8> {
        serde_json::to_vec(list).unwrap()
    }

    #[test]
    fn every_input_of_a_node_is_made_before_it() {
        let (list, values) = files();
        let model = ModelProto::parse_from_bytes(&prepare(&text(&list), &values).unwrap()).unwrap();
        let graph = model.graph.unwrap();
        let mut known: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        known.insert("input");
        for node in &graph.node {
            for input in &node.input {
                assert!(known.contains(input.as_str()), "{} reads {input}", node.name);
            }
            for output in &node.output {
                assert!(known.insert(output), "{output} is made twice");
            }
        }
        assert!(known.contains("embedding"));
        assert_eq!(graph.node.iter().filter(|node| node.op_type == "Conv").count(), 1 + 2 * BLOCKS.len());
        for tensor in &graph.initializer {
            let count: i64 = tensor.dims.iter().product();
            let size = if tensor.name.ends_with("/sizes") { 8 } else { 4 };
            assert_eq!(tensor.raw_data.len() as i64, count * size, "{}", tensor.name);
        }
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let (list, values) = files();
        assert_eq!(prepare(&text(&list), &values).unwrap(), prepare(&text(&list), &values).unwrap());
    }

    #[test]
    fn folding_equals_the_steps_one_by_one() {
        // One output and one pixel: ((x - mean) / 255 . w + bias) * scale + shift.
        let list = json!([{"weights": [
            {"name": "l/conv/filters", "shape": [1, 1, 3, 1], "dtype": "float32"},
            {"name": "l/conv/bias", "shape": [1], "dtype": "float32"},
            {"name": "l/scale/weights", "shape": [1], "dtype": "float32"},
            {"name": "l/scale/biases", "shape": [1], "dtype": "float32",
             "quantization": {"dtype": "uint8", "scale": 0.5, "min": -3.0}},
        ]}]);
        let mut values: Vec<u8> = [0.5_f32, -0.25, 2.0, 0.125, 3.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        values.push(9);
        let net = Network {
            graph: GraphProto::new(),
            weights: Weights::read(&text(&list), &values).unwrap(),
            side: 1,
            channels: 3,
        };
        let folded = net.folded("l", 1, 1).unwrap().with_input_scale();
        let x = [10.0, 200.0, 55.0];
        let slow: f64 = (0..3).map(|c| (x[c] - MEAN[c]) / DIVISOR * [0.5, -0.25, 2.0][c]).sum();
        let slow = (slow + 0.125) * 3.0 + (9.0 * 0.5 - 3.0);
        let fast = (0..3).map(|c| x[c] * folded.weights[c]).sum::<f64>() + folded.bias[0];
        assert!((slow - fast).abs() < 1e-12, "{slow} {fast}");
    }

    #[test]
    fn what_is_not_the_network_is_refused_with_the_reason() {
        type Break = fn(&mut Value, &mut Vec<u8>);
        let broken: [(Break, &str); 11] = [
            (|_, values| values.truncate(1_000_000), "ends at byte"),
            (|_, values| values.push(0), "bytes of values"),
            (|_, values| values.clear(), "ends at byte"),
            (|list, _| *list = json!({}), "cannot be read"),
            (|list, _| *list = json!([]), "describes 0 bytes"),
            (|list, _| list[0]["weights"][0]["name"] = json!("other"), "no tensor `conv32_down/conv/filters`"),
            (|list, _| list[0]["weights"][1]["name"] = json!("fc"), "`fc` is listed twice"),
            (|list, _| list[0]["weights"][0]["shape"] = json!([7, 7, 32, 3]), "the shape [7, 7, 32, 3] instead of"),
            (|list, _| list[0]["weights"][0]["shape"] = json!([u64::MAX, 7, 3, 32]), "impossibly large"),
            (|list, _| list[0]["weights"][0]["quantization"]["dtype"] = json!("uint16"), "quantised in an unknown way"),
            (|list, _| list[0]["weights"][0]["quantization"]["scale"] = json!(1e39), "no number"),
        ];
        for (breaks, expected) in broken {
            let (mut list, mut values) = files();
            breaks(&mut list, &mut values);
            let error = prepare(&text(&list), &values).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn no_cut_or_garbled_list_panics() {
        let (list, values) = files();
        let whole = text(&list);
        for length in (0..whole.len()).step_by(7) {
            assert!(prepare(&whole[..length], &values).is_err(), "cut at {length}");
        }
        for at in (0..whole.len()).step_by(101) {
            let mut garbled = whole.clone();
            garbled[at] ^= 0x11;
            // A changed digit of a scale is still a list; it must only not panic.
            let _ = prepare(&garbled, &values);
        }
    }
}
