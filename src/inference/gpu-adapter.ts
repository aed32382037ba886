/** A software adapter takes seconds for what WASM does in milliseconds, so it is used only if explicitly requested. */
export async function findGpuAdapter(allowSoftware: boolean): Promise<GPUAdapter | undefined> {
  try {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
    if (!adapter) return undefined;
    return allowSoftware || !isSoftware(adapter.info) ? adapter : undefined;
  } catch {
    return undefined;
  }
}

type AdapterInfo = Pick<GPUAdapterInfo, 'vendor' | 'architecture' | 'device' | 'description' | 'isFallbackAdapter'>;

export function isSoftware(info: AdapterInfo): boolean {
  const text = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  return info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render|\bwarp\b|software/i.test(text);
}

/** Requests the adapter's maximum limits: a head's matrix alone is 105 MB at d = 5120. */
export function requestGpuDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = adapter.limits;
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX, maxComputeWorkgroupSizeY } = adapter.limits;
  const { maxComputeWorkgroupSizeZ, maxComputeWorkgroupsPerDimension } = adapter.limits;
  const optional: GPUFeatureName[] = ['shader-f16', 'timestamp-query', 'subgroups'];
  return adapter.requestDevice({
    requiredFeatures: optional.filter((feature) => adapter.features.has(feature)),
    requiredLimits: {
      maxBufferSize,
      maxStorageBufferBindingSize,
      maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupSizeX,
      maxComputeWorkgroupSizeY,
      maxComputeWorkgroupSizeZ,
      maxComputeWorkgroupsPerDimension,
    },
  });
}
