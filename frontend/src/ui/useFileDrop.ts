import { useEffect, useState } from 'react';

function hasFiles({ dataTransfer }: DragEvent): boolean {
  return dataTransfer?.types.includes('Files') ?? false;
}

/**
 * Takes files that are dropped anywhere in the window; returns whether some are being dragged over it.
 *
 * @param onFiles the same function on each render
 */
export function useFileDrop(onFiles: (files: FileList) => void): boolean {
  const [dragged, setDragged] = useState(false);
  useEffect(() => {
    const drag = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      // Without this the browser opens the file in place of the page.
      event.preventDefault();
      setDragged(true);
    };
    const leave = (event: DragEvent) => {
      // Elements are entered and left all the time; this is the window.
      if (event.relatedTarget === null) setDragged(false);
    };
    const drop = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setDragged(false);
      if (event.dataTransfer) onFiles(event.dataTransfer.files);
    };
    window.addEventListener('dragover', drag);
    window.addEventListener('dragleave', leave);
    window.addEventListener('drop', drop);
    return () => {
      window.removeEventListener('dragover', drag);
      window.removeEventListener('dragleave', leave);
      window.removeEventListener('drop', drop);
    };
  }, [onFiles]);
  return dragged;
}
