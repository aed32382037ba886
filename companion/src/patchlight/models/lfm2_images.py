"""LFM2-VL's processor with Pillow; transformers only has one that needs torchvision."""

import math
from typing import Any

import numpy as np
from transformers import BatchFeature
from transformers.image_processing_backends import PilBackend
from transformers.image_utils import PILImageResampling, SizeDict
from transformers.models.lfm2_vl.processing_lfm2_vl import Lfm2VlProcessor
from transformers.models.siglip2.image_processing_pil_siglip2 import convert_image_to_patches, pad_along_first_dim
from transformers.processing_utils import ImagesKwargs
from transformers.utils.constants import IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD


class Lfm2VlImageOptions(ImagesKwargs, total=False):
    """Options as those of transformers' `Lfm2VlImageProcessor`, which documents them."""

    downsample_factor: int
    do_image_splitting: bool
    min_tiles: int
    max_tiles: int
    use_thumbnail: bool
    min_image_tokens: int
    max_image_tokens: int
    encoder_patch_size: int
    tile_size: int
    max_pixels_tolerance: float
    return_row_col_info: bool


# transformers types neither the methods nor the attributes that a processor overrides.
_PilBackend: Any = PilBackend
_Processor: Any = Lfm2VlProcessor


class Lfm2VlImageProcessorPil(_PilBackend):
    """Prepares images as transformers' `Lfm2VlImageProcessor` does, but resizes them with Pillow.

    A large image is stretched to a grid of square tiles, and a smaller copy of the whole image follows them.
    """

    valid_kwargs = Lfm2VlImageOptions
    model_input_names = ["pixel_values", "pixel_attention_mask", "spatial_shapes"]  # noqa: RUF012
    resample = PILImageResampling.BILINEAR
    image_mean, image_std = IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD
    do_convert_rgb = do_resize = do_rescale = do_normalize = do_pad = do_image_splitting = use_thumbnail = True
    return_row_col_info = False
    rescale_factor = 1 / 255
    size = {"height": 512, "width": 512}  # noqa: RUF012
    downsample_factor, encoder_patch_size, tile_size = 2, 16, 512
    min_tiles, max_tiles = 2, 10
    min_image_tokens, max_image_tokens = 64, 256
    max_pixels_tolerance = 2.0

    def tile_grid(self, height: int, width: int) -> tuple[int, int]:
        """Return the rows and columns of tiles for an image of this size; 1 x 1 if it is not split."""
        unit, limit = self._unit, self.max_image_tokens * self._unit**2 * self.max_pixels_tolerance
        rounded = [max(self.encoder_patch_size, round(length / unit) * unit) for length in (height, width)]
        if not self.do_image_splitting or self.max_tiles == 1 or math.prod(rounded) <= limit:
            return 1, 1
        counts = range(1, self.max_tiles + 1)
        grids = [(w, h) for w in counts for h in counts if self.min_tiles <= w * h <= self.max_tiles]
        best, least = (1, 1), math.inf
        for across, down in sorted(grids, key=math.prod):
            difference = abs(width / height - across / down)
            # Among grids of one shape, the largest that the image fills by more than half.
            fills = height * width > 0.5 * self.tile_size**2 * across * down
            if difference < least or (difference == least and fills):
                best, least = (down, across), difference
        return best

    def whole_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width to which the whole image is resized."""
        unit = self._unit
        least, most = (tokens * unit**2 for tokens in (self.min_image_tokens, self.max_image_tokens))
        sides = [max(unit, round(length / unit) * unit) for length in (height, width)]
        if math.prod(sides) > most:
            shrink = math.sqrt(height * width / most)
            sides = [max(unit, math.floor(length / shrink / unit) * unit) for length in (height, width)]
        elif math.prod(sides) < least:
            grow = math.sqrt(least / (height * width))
            sides = [math.ceil(length * grow / unit) * unit for length in (height, width)]
        return sides[0], sides[1]

    @property
    def _unit(self) -> int:
        """The side of one image token, in pixels."""
        return self.encoder_patch_size * self.downsample_factor

    def _validate_preprocess_kwargs(self, **options: Any) -> None:
        # The size depends on the image.
        options.pop("do_resize", None)
        super()._validate_preprocess_kwargs(**options)

    def _preprocess(self, images: list[np.ndarray], **options: Any) -> BatchFeature:
        patch = self.encoder_patch_size
        tile_patches = (self.tile_size // patch) ** 2 if self.do_image_splitting else 0
        most = max(self.max_image_tokens * self.downsample_factor**2, tile_patches)
        values, masks, shapes, grids, sizes = [], [], [], [], []
        for image in images:
            height, width = image.shape[-2:]
            down, across = self.tile_grid(height, width)
            size = self.whole_size(height, width)
            parts = self._tiles(image, down, across) if down * across > 1 else []
            if not parts or self.use_thumbnail:
                parts.append(self.resize(image, SizeDict(height=size[0], width=size[1]), self.resample))
            for part in parts:
                scaled = self.normalize(self.rescale(part, self.rescale_factor), self.image_mean, self.image_std)
                padded, mask = pad_along_first_dim(convert_image_to_patches(scaled, patch), most)
                values.append(padded)
                masks.append(mask)
                shapes.append([part.shape[-2] // patch, part.shape[-1] // patch])
            grids.append((down, across))
            sizes.append(list(size))
        data = {"pixel_values": np.stack(values), "pixel_attention_mask": np.stack(masks), "spatial_shapes": shapes}
        if options.get("return_row_col_info"):
            rows, cols = ([grid[side] for grid in grids] for side in (0, 1))
            data |= {"image_rows": rows, "image_cols": cols, "image_sizes": sizes}
        return BatchFeature(data, tensor_type=options.get("return_tensors"))

    def _tiles(self, image: np.ndarray, down: int, across: int) -> list[np.ndarray]:
        side = self.tile_size
        large = self.resize(image, SizeDict(height=down * side, width=across * side), self.resample)
        return [
            large[..., row * side : (row + 1) * side, col * side : (col + 1) * side]
            for row in range(down)
            for col in range(across)
        ]


class Lfm2VlPillowProcessor(_Processor):
    """LFM2-VL's processor with Pillow's image processor."""

    @classmethod
    def _get_arguments_from_pretrained(cls, model: str, processor_dict: Any = None, **options: Any) -> list[Any]:
        images = Lfm2VlImageProcessorPil.from_pretrained(model, **options)
        return [images, cls._load_tokenizer_from_pretrained("tokenizer", model, **options)]
