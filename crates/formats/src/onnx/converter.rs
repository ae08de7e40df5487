//! The registry of converters: the ONNX operators of layers that are written outside of ziffer.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use ziffer_nn::{LayerError, RegisterError, is_built_in};

use super::graph::Graph;
use super::layer::ExportedLayer;

/// Adds a layer to a graph: takes the name of the input value and returns the name of the output value.
type Converter =
    Arc<dyn Fn(&mut Graph, &ExportedLayer<'_>, &str) -> Result<String, LayerError> + Send + Sync>;

fn registered() -> &'static RwLock<HashMap<String, Converter>> {
    static REGISTERED: OnceLock<RwLock<HashMap<String, Converter>>> = OnceLock::new();
    REGISTERED.get_or_init(RwLock::default)
}

/// Registers the ONNX converter of a layer class for this process, so that models with such layers can be exported. It
/// replaces the converter that was registered for the class before.
///
/// The converter takes the graph, the layer and the name of the value that goes into the layer, `[N, I]`. It adds the
/// operators of the layer at inference and returns the name of the value that comes out, `[N, O]`. A layer that changes
/// nothing at inference ([`Layer::is_identity`](ziffer_nn::Layer::is_identity)) needs no converter.
///
/// [`register_layer`](ziffer_nn::register_layer) does the same for loading models.
///
/// ```
/// # use ndarray::{ArrayView2, ArrayViewMut2};
/// # use ziffer_nn::{Context, Input, Layer, LayerError, Weights};
/// use ziffer_formats::onnx::{self, PixelType};
/// use ziffer_nn::{Activation, Sequential};
///
/// /// y = x^2.
/// #[derive(Debug)]
/// struct Square;
/// # impl Layer<f32> for Square {
/// #     fn class_name(&self) -> &'static str {
/// #         "Square"
/// #     }
/// #     fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
/// #         Ok(input_shape.to_vec())
/// #     }
/// #     fn forward(
/// #         &self,
/// #         _: &mut Context<'_, f32>,
/// #         _: Weights<'_, f32>,
/// #         x: Input<'_, f32>,
/// #         mut y: ArrayViewMut2<'_, f32>,
/// #     ) {
/// #         y.assign(&x.to_real());
/// #         y.mapv_inplace(|x| x * x);
/// #     }
/// #     fn backward(
/// #         &self,
/// #         _: &mut Context<'_, f32>,
/// #         _: Weights<'_, f32>,
/// #         x: Input<'_, f32>,
/// #         _: ArrayView2<'_, f32>,
/// #         d: ArrayViewMut2<'_, f32>,
/// #         d_x: Option<ArrayViewMut2<'_, f32>>,
/// #     ) {
/// #         if let Some(mut d_x) = d_x {
/// #             d_x.assign(&(&d * &x.to_real() * 2.0));
/// #         }
/// #     }
/// # }
///
/// onnx::register_converter("Square", |graph, layer, input| {
///     Ok(graph.node("Mul", &[input, input], &layer.value("square")))
/// })?;
/// let model = Sequential::new([4]).add(Square).dense(2, Activation::Softmax).build(0)?;
/// let bytes = onnx::export(&model, PixelType::F32)?;
/// # assert!(bytes.windows(13).any(|window| window == b"square.square"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the class is that of a built-in layer.
pub fn register_converter(
    class: &str,
    converter: impl Fn(&mut Graph, &ExportedLayer<'_>, &str) -> Result<String, LayerError> + Send + Sync + 'static,
) -> Result<(), RegisterError> {
    if is_built_in(class) {
        return Err(RegisterError { class: class.to_owned() });
    }
    let mut registered = registered().write().unwrap_or_else(PoisonError::into_inner);
    registered.insert(class.to_owned(), Arc::new(converter));
    Ok(())
}

/// The converter that is registered for a class.
pub(super) fn converter(class: &str) -> Option<Converter> {
    registered().read().unwrap_or_else(PoisonError::into_inner).get(class).cloned()
}
