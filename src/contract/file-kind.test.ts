import { describe, expect, it } from 'vitest';
import { readCalibrationFile } from './calibration-file';

const latin1 = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0)).buffer;

describe('a file of another kind', () => {
  it.each([
    ['', 'it is empty. Check that'],
    ['PK\x03\x04....[Content_Types].xml', 'it is an Excel workbook'],
    ['PK\x03\x04....data.csv', 'it is a ZIP archive'],
    ['\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 'it is an old Excel workbook'],
    ['\x89PNG\r\n\x1a\n', 'it is an image (PNG)'],
    ['%PDF-1.7', 'it is a PDF'],
    ['\x80\x04\x95\x00', 'it is a Python pickle'],
    ['\x28\xb5\x2f\xfd\x00', 'it is compressed with Zstandard'],
    ['version https://git-lfs.github.com/spec/v1\noid sha256:00\n', 'it is a Git LFS pointer'],
    ['<!DOCTYPE html><html>', 'it is a web page'],
    ['{"entropy": 4.5, "correct": 1}\n{"entropy": 4, "correct": 0}\n', 'it is JSON'],
    ['[{"entropy": 4.5}]', 'it is JSON'],
    ['FEA1\0\0\0\0', 'it is a Feather file of version 1'],
    ['PAR1', 'the Parquet file is incomplete'],
    ['ARROW1\0\0', 'the Arrow file is incomplete'],
    ['\x00\x01\x02\x03', 'it is neither text nor a known kind of table'],
  ])('%j is named, with what is accepted', async (content, reason) => {
    const reading = readCalibrationFile('file', latin1(content));
    await expect(reading).rejects.toThrow(reason);
    await expect(reading).rejects.toThrow(/^file \(.*\) is not a valid calibration file: .*\.$/);
  });

  it('is not taken for one by a column’s name', async () => {
    for (const name of ['BMI', 'ORC', 'PARENT', 'PKey', 'Rar!', 'GIF8', 'RDX', 'FEA1', 'X'])
      expect((await readCalibrationFile('file', latin1(`${name},entropy,correct\n1,2,1\n`))).rows).toBe(1);
  });
});
